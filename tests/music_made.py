"""Sounds whose tempo, key and level are known, and folders of them, as musegen generate would write."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from musegen.audio import write_audio

RATE = 22050


def clicks(tempo: float, seconds: float = 12.0, accent: int = 4) -> np.ndarray:
    """A drum on every beat, harder on the first of a bar, and a soft tick between."""
    chance = np.random.Generator(np.random.Philox(1))
    audio = np.zeros(int(seconds * RATE), np.float32)
    decay = np.exp(-np.arange(int(0.06 * RATE)) / (0.012 * RATE))
    beat = 60 / tempo
    for number in range(int(2 * seconds / beat)):
        start = int(number * beat / 2 * RATE)
        level = (1.0 if number % (2 * accent) == 0 else 0.7) if number % 2 == 0 else 0.15
        part = level * decay * chance.standard_normal(len(decay))
        audio[start : start + len(part)] += part[: len(audio) - start]
    return 0.4 * audio


def chords(tonic: int, mode: str, seconds: float = 12.0) -> np.ndarray:
    """I IV V I (or i iv V i), each note with a few harmonics, with the root in the bass."""
    third = 4 if mode == "major" else 3
    degrees = [(0, third), (5, third), (7, 4), (0, third)]
    time = np.arange(int(seconds / 4 * RATE)) / RATE
    parts = []
    for root, of_third in degrees:
        notes = [tonic + root + step for step in (-24, 0, of_third, 7)]
        tone = [
            np.sin(2 * np.pi * 261.63 * 2 ** (note / 12) * harmonic * time) / harmonic**1.5
            for note in notes
            for harmonic in (1, 2, 3, 4)
        ]
        parts.append(np.sum(tone, 0) * np.minimum(1, 20 * (time[-1] - time)))
    audio = np.concatenate(parts)
    return (0.5 * audio / np.abs(audio).max()).astype(np.float32)


def write_clip(folder: Path, name: str, audio: np.ndarray, prompt: str | None, rate: int = RATE) -> Path:
    """One clip, and the JSON beside it."""
    path = write_audio(folder / f"{name}.wav", torch.from_numpy(np.atleast_2d(audio).astype(np.float32)), rate)
    if prompt is not None:
        path.with_suffix(".json").write_text(json.dumps({"format": "musegen-clip", "prompt": prompt}), encoding="utf-8")
    return path


def write_songs(folder: Path, tempi: Sequence[int], keys: Sequence[tuple[str, int, str]], wrong: bool = False) -> Path:
    """Clips of chords over clicks, with captions that tell the truth, or that of the next clip."""
    captions = [f"a piece at {tempo} bpm in {name} {mode}" for tempo, (name, _, mode) in zip(tempi, keys, strict=True)]
    if wrong:
        captions = captions[1:] + captions[:1]
    for number, (tempo, (_, tonic, mode), caption) in enumerate(zip(tempi, keys, captions, strict=True)):
        sound = clicks(tempo, 8)
        sound += chords(tonic, mode, 8)[: len(sound)]
        write_clip(folder, f"song{number}", 0.5 * sound, caption)
    return folder
