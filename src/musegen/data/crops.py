"""Crops: which part of a piece an item shows, and what is true of that part."""

from __future__ import annotations

import math
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.nn.functional import pad

from musegen.flow.noise import hash_seed

FULL_SCALE = 32768
"""Of 16 bits."""


def crop_start(length: int, wanted: int, seed: int | None) -> int:
    """Where a crop of ``wanted`` begins in ``length``: anywhere, by the item's seed, or in the middle without one."""
    room = max(0, length - wanted)
    return room // 2 if seed is None else hash_seed(seed, "crop") % (room + 1)


def crop_latents(latents: np.ndarray, start: int, frames: int, packed: bool = False) -> tuple[Tensor, Tensor]:
    """Cut latents, or fill them up with zeros.

    Args:
        latents: ``[channels, any]``.
        start: first frame.
        frames: how many.
        packed: leave float16 as it is.

    Returns:
        Latents ``[channels, frames]``, float32 (or float16), and a mask ``[frames]``, False where they were filled up.
    """
    part = torch.from_numpy(latents[:, start : start + frames].copy())
    part = part if packed else part.float()  # torch casts float16 faster than numpy
    real = part.shape[1]
    return pad(part, (0, frames - real)) if real < frames else part, torch.arange(frames) < real


def embedding_of(embedding: np.ndarray, windows: Any = None, begin: float = 0.0, end: float | None = None) -> Tensor:
    """The vector of a part of a piece: the normalised mean of the windows that the part meets.

    A window counts by the share of it that lies in the part, so that the whole piece has the plain mean of its windows,
    a short last one counting like the others. A part behind the last window has that window's vector.

    Args:
        embedding: ``[windows, dim]``, unit vectors.
        windows: ``[[start, end], …]`` in seconds; None for a single window.
        begin: of the part, in seconds.
        end: of the part; None for the whole piece.

    Returns:
        ``[dim]``, float32, of unit length.
    """
    weights = None
    if end is not None and len(embedding) > 1:
        times = np.asarray(windows, dtype=np.float64)
        met = np.minimum(times[:, 1], end) - np.maximum(times[:, 0], begin)
        shares = np.clip(met, 0.0, None) / (times[:, 1] - times[:, 0])
        weights = shares if shares.any() else np.eye(len(embedding))[np.argmax(met)]
    return torch.from_numpy(mean_direction(embedding, weights).astype(np.float32))


def mean_direction(vectors: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The normalised mean ``[dim]`` of unit vectors ``[windows, dim]``, float64; without weights all count the same."""
    vectors = vectors.astype(np.float64)
    mean = np.add.reduce(vectors) if weights is None else weights @ vectors
    length = math.sqrt(mean @ mean)
    if length < 1e-6:  # windows that cancel have no direction in common
        return vectors[0 if weights is None else np.argmax(weights)]
    return mean / length


def read_crop(
    song: BinaryIO, samples: int, seed: int | None, sample_rate: int, at: float | None = None, packed: bool = False
) -> Any:
    """Decode a part of a FLAC file, or of a song kept as WAV, and no more of it than that.

    Args:
        song: the file, open; it is not closed.
        samples: how many; less audio is filled up with silence.
        seed: of the item, see `crop_start`.
        sample_rate: that the file must have, Hz.
        at: where the part begins, in seconds, where that is settled already.
        packed: leave audio of 16 bits as it is, see `unpacked`.

    Returns:
        Audio ``[2, samples]``, float32 (or int16), mono on both sides; begin and end of the part, and the whole, in s.

    Raises:
        ValueError: if it cannot be decoded, or has another sample rate.
    """
    try:
        with soundfile.SoundFile(song) as file:
            rate, length = file.samplerate, file.frames
            if rate != sample_rate:
                raise ValueError(f"expected audio at {sample_rate} Hz, got {rate} Hz")
            start = crop_start(length, samples, seed) if at is None else min(round(at * rate), length)
            file.seek(start)
            kind = "int16" if packed and file.subtype == "PCM_16" else "float32"
            part = file.read(samples, dtype=kind, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"expected a FLAC file: {error.error_string}") from None
    audio = np.zeros((2, samples), kind)
    audio[:, : len(part)] = part[:, :2].T  # one side becomes two; torch takes ten times as long to turn it round
    return torch.from_numpy(audio), start / rate, (start + len(part)) / rate, length / rate


def unpacked(values: Tensor) -> Tensor:
    """What is kept in 16 bits as float32, audio of int16 with full scale at ±1, latents as they are."""
    return values.float() / FULL_SCALE if values.dtype == torch.int16 else values.float()
