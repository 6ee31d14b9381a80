"""Audio of any kind and quality as FLAC files of one kind, with what was found on the way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from musegen.audio import encode_audio, resample, to_channels, why
from musegen.data.ingest.bandwidth import bandwidth
from musegen.data.ingest.problems import UnusableError

SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64", ".rf64"}
)
LOWEST_RATE, HIGHEST_RATE = 4000, 384000  # Hz; what lies outside is no recording of music, or a damaged header
MOST_STEPS = 2000
SILENCE = 1e-4
"""A peak below this, -80 dB, is silence."""


@dataclass(frozen=True)
class AudioRules:
    """What audio has to be, and becomes.

    Args:
        sample_rate: of the result, Hz; None keeps each file's own.
        min_seconds: shorter pieces are left out.
    """

    sample_rate: int | None = 44100
    min_seconds: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what no file can be.

        Raises:
            ValueError: for a rate or a length out of range.
        """
        if self.sample_rate is not None and not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise ValueError(
                f"sample_rate: expected {LOWEST_RATE} to {HIGHEST_RATE} Hz, or null, got {self.sample_rate}"
            )
        if not 0 <= self.min_seconds < math.inf:
            raise ValueError(f"min_seconds: expected 0 or more, got {self.min_seconds}")


def read_piece(paths: Sequence[str], rules: AudioRules) -> tuple[bytes, dict[str, Any]]:
    """Read a piece of music, mono or stereo.

    Args:
        paths: its file, or several that sound together (tracks of one song).
        rules: what it has to be.

    Returns:
        A FLAC file of 16 bits, and facts: ``seconds``, ``file_rate`` (Hz), ``bandwidth`` (Hz, of the recording) and,
        where there is something to say, ``notes``, a list of what was unusual.

    Raises:
        UnusableError: saying why it cannot be used.
    """
    notes: list[str] = []
    parts = [_read(path, notes) for path in paths]
    rate = parts[0][1]
    if any(other != rate for _, other in parts):
        raise UnusableError("tracks of different sample rates", ", ".join(f"{other} Hz" for _, other in parts))
    samples = _together([part for part, _ in parts])
    if not np.isfinite(samples).all():
        raise UnusableError("audio holds NaN or infinity", f"{np.count_nonzero(~np.isfinite(samples))} values")
    seconds, peak = len(samples) / rate, float(np.abs(samples).max())
    if seconds < rules.min_seconds:
        raise UnusableError("audio is too short", f"{seconds:.2f} s, expected {rules.min_seconds:g} s or more")
    if peak < SILENCE:
        raise UnusableError("audio is silent")
    if peak > 1.0:
        notes.append("peaks above full scale: turned down")
    heard = bandwidth(samples, rate)
    audio = torch.from_numpy(np.ascontiguousarray(samples.T))
    if audio.shape[0] > 2:
        notes.append(f"{audio.shape[0]} channels: the first two")
        audio = to_channels(audio, 2)
    elif audio.shape[0] == 1:
        notes.append("mono")
    new_rate = rules.sample_rate or rate
    if new_rate != rate:
        notes.append(f"resampled from {rate} Hz")
        audio = _resample(audio, rate, new_rate)
    facts: dict[str, Any] = {"seconds": audio.shape[1] / new_rate, "file_rate": rate, "bandwidth": round(heard)}
    return encode_audio(audio, new_rate, "flac"), facts | ({"notes": sorted(set(notes))} if notes else {})


def _read(path: str, notes: list[str]) -> tuple[np.ndarray, int]:
    """One file ``[samples, channels]``, float32, and its rate."""
    try:
        if not Path(path).stat().st_size:
            raise UnusableError("audio file is empty")
        with open(path, "rb") as stream, soundfile.SoundFile(stream) as file:
            rate, expected, subtype = file.samplerate, file.frames, file.subtype
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise UnusableError("sample rate is out of range", f"{rate} Hz")
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, TypeError, MemoryError) as error:
        raise UnusableError("audio cannot be decoded", why(error)) from None
    except OSError as error:
        kind = "no audio file" if isinstance(error, FileNotFoundError) else "audio file cannot be read"
        raise UnusableError(kind, f"{path}: {error.strerror}") from None
    if not len(samples):
        raise UnusableError("audio is empty")
    if len(samples) < 0.99 * expected:
        notes.append("the file is cut off")
    if subtype in ("PCM_U8", "PCM_S8", "ULAW", "ALAW"):
        notes.append("8 bits")
    return samples, rate


def _together(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The sum of tracks ``[samples, channels]``; a shorter one ends earlier, a mono one is in the middle."""
    if len(parts) == 1:
        return parts[0]
    channels, length = max(part.shape[1] for part in parts), max(map(len, parts))
    total = np.zeros((length, channels), np.float32)
    for part in parts:
        total[: len(part), : part.shape[1] if part.shape[1] > 1 else None] += part
    return total


def _resample(audio: torch.Tensor, rate: int, new_rate: int) -> torch.Tensor:
    """By musegen's own resampler; odd ratios, whose kernel would fill the memory, by scipy's polyphase filter."""
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    if max(up, down) <= MOST_STEPS:
        return resample(audio, rate, new_rate)
    from scipy.signal import resample_poly

    return torch.from_numpy(resample_poly(audio.numpy(), up, down, axis=-1).astype(np.float32))
