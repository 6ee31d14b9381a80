"""Notes to audio through a soundfont."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from musegen.data.rendering.score import DRUM_CHANNEL, Part

FILES = (
    "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3",
    "/usr/share/sounds/sf3/MuseScore_General.sf3",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
)
TAIL = 3.0
"""Seconds that a part is listened to after its last note."""


def find_soundfont(file: str | None = None) -> str:
    """A soundfont.

    Raises:
        ValueError: if there is none.
    """
    for candidate in (file,) if file else (os.environ.get("MUSEGEN_SOUNDFONT"), *FILES):
        if candidate and Path(candidate).is_file():
            return str(candidate)
    where = file or ", ".join(FILES)
    raise ValueError(
        f"expected a soundfont at {where}, got none: install Debian's musescore-general-soundfont-small, "
        "or set MUSEGEN_SOUNDFONT"
    )


def is_free(file: str) -> bool:
    """Whether a soundfont is one of those whose licence is known to ask nothing of recordings of it."""
    return Path(file).name in {Path(known).name for known in FILES}


def sound(part: Part, soundfont: str, sample_rate: int, seconds: float) -> np.ndarray:
    """Play one part.

    Args:
        part: what is played, and on what.
        soundfont: an .sf2 or .sf3 file.
        sample_rate: Hz.
        seconds: where it is cut.

    Returns:
        Audio ``[2, samples]``, float32, silent after the part has died away.

    Raises:
        ValueError: if the synthesizer is missing, or the soundfont cannot be read.
    """
    synth, font = _synth(soundfont, sample_rate)
    channel = DRUM_CHANNEL if part.role == "drums" else 0
    synth.program_select(channel, font, 0, part.program if channel == 0 else 0, channel == DRUM_CHANNEL)
    audio = np.zeros((int(seconds * sample_rate), 2), dtype=np.float32)
    frames: Any = audio.reshape(-1).view(np.uint8)
    view = memoryview(frames)
    events = [(note.start, True, note.pitch, note.velocity) for note in part.notes]
    events += [(note.start + max(0.03, note.duration), False, note.pitch, 0) for note in part.notes]
    events.sort(key=lambda event: (round(event[0] * sample_rate), event[1], event[2]))
    events.append((events[-1][0] + TAIL, False, 0, 0))
    position = 0
    for time, on, pitch, velocity in events:
        until = min(round(time * sample_rate), len(audio))
        if until > position:
            synth.generate_simple(until - position, view[8 * position : 8 * until])  # a frame is two floats
            position = until
        if position == len(audio):
            break
        if on:
            synth.noteon(channel, pitch, velocity)
        else:
            synth.noteoff(channel, pitch)
    return np.ascontiguousarray(audio.T)


def _synth(soundfont: str, sample_rate: int) -> tuple[Any, int]:
    """A synthesizer that has played nothing yet, and its soundfont: else a song would depend on the one before it."""
    synth = _tinysoundfont().Synth(samplerate=sample_rate, gain=-6)
    return synth, synth.sfload(_soundfont(soundfont))  # of a loaded soundfont it makes a copy that shares the samples


@lru_cache(maxsize=1)
def _soundfont(file: str) -> Any:
    """One soundfont a process: loading it takes seconds."""
    synth = _tinysoundfont().Synth()
    try:
        return synth.soundfonts[synth.sfload(file)]
    except (RuntimeError, KeyError):
        raise ValueError(f"{file}: expected a soundfont (.sf2 or .sf3), got something else") from None


def _tinysoundfont() -> Any:
    try:
        import tinysoundfont
    except ImportError:
        raise ValueError("rendering needs tinysoundfont: pip install --no-deps tinysoundfont==0.3.7") from None
    return tinysoundfont
