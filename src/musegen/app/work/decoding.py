"""Decode a stranger's audio file, in a process of its own that may use only so much memory and time.

``python -m musegen.app.work.decoding FILE SECONDS`` writes a line of JSON and float32 samples to standard output.
"""

from __future__ import annotations

import json
import sys

MEMORY = 2 << 30
CPU_SECONDS = 60
MOST_CHANNELS = 8
RATES = (4000, 384000)


def main(path: str, longest: float) -> None:
    """Write what the file holds, or a reason in the place of it."""
    _limit()
    import numpy as np
    import soundfile

    try:
        with open(path, "rb") as stream, soundfile.SoundFile(stream) as file:
            rate, channels = file.samplerate, file.channels
            if not RATES[0] <= rate <= RATES[1]:
                return _say(problem=f"a sample rate of {rate} Hz")
            if not 1 <= channels <= MOST_CHANNELS:
                return _say(problem=f"{channels} channels, and at most {MOST_CHANNELS} are taken")
            samples = file.read(int(longest * rate) + 1, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError, OSError, MemoryError) as error:
        reason = getattr(error, "error_string", "") or type(error).__name__
        return _say(problem=f"a file that cannot be read as audio: {' '.join(reason.split())[:200].rstrip('.')}")
    if not len(samples):
        return _say(problem="no sound in it")
    if len(samples) > longest * rate:
        return _say(problem=f"more than {longest / 60:g} minutes of music")
    if not np.isfinite(samples).all():
        return _say(problem="samples that are no numbers")
    samples = samples[:, :2] if channels > 2 else samples
    _say(rate=rate, channels=samples.shape[1])
    sys.stdout.buffer.write(np.ascontiguousarray(samples.T, "<f4").tobytes())
    return None


def _say(**said: object) -> None:
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")


def _limit() -> None:
    try:
        import resource
    except ImportError:  # not on this system
        return
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # standard output is a pipe


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
