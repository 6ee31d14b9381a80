"""Numbers for a judge of music and words: of what was heard in a clip, and of what a caption says in figures."""

from __future__ import annotations

import numpy as np

from musegen.metrics.hearing.base import Heard
from musegen.metrics.hearing.key import profiles
from musegen.metrics.musicnn.network import POOLED
from musegen.metrics.wanted import wanted_of

SLOWEST, STEPS, STEPS_AN_OCTAVE = 40.0, 32, 12
"""Tempi as places on a scale of semitones, from 40 beats a minute up."""

HEARD = 2 * POOLED + 12 + 24 + STEPS + STEPS_AN_OCTAVE
SAID = 2 + STEPS + STEPS_AN_OCTAVE + 12 + 24 + 2


def heard_numbers(msd: Heard, mtt: Heard, tempo: Heard, key: Heard) -> np.ndarray:
    """All numbers about a clip, ``[HEARD]``.

    Args:
        msd: by musicnn, trained on the Million Song Dataset.
        mtt: by musicnn, trained on MagnaTagATune.
        tempo: by `musegen.metrics.hearing.tempo.Tempo`.
        key: by `musegen.metrics.hearing.key.Key`.
    """
    chroma = np.asarray(key["chroma"], np.float64)
    chroma = chroma / max(float(np.linalg.norm(chroma)), 1e-9)
    parts = [
        msd["pooled"], mtt["pooled"], chroma, profiles() @ (chroma - chroma.mean()),
        *tempo_numbers(float(tempo["tempo"])),
    ]  # fmt: skip
    return np.concatenate(parts).astype(np.float32)


def said_numbers(caption: str) -> np.ndarray:
    """What a caption says of tempo, key and mode, ``[SAID]``; zeros for what it does not say.

    A text encoder knows words well and figures badly: 119 and 121 are other words to it.
    """
    wanted = wanted_of(caption)
    tonic, key, mode = np.zeros(12), np.zeros(24), np.zeros(2)
    if wanted.key is not None:
        tonic[wanted.key % 12] = key[wanted.key] = 1
    if wanted.mode is not None:
        mode[("major", "minor").index(wanted.mode)] = 1
    known = [float(wanted.tempo is not None), float(wanted.key is not None)]
    tempo = tempo_numbers(float("nan") if wanted.tempo is None else wanted.tempo)
    return np.concatenate([known, *tempo, tonic, key, mode]).astype(np.float32)


def tempo_numbers(tempo: float) -> tuple[np.ndarray, np.ndarray]:
    """A tempo as a bump on a scale ``[32]`` and on a circle of octaves ``[12]``; zeros for NaN."""
    if not tempo > 0:
        return np.zeros(STEPS), np.zeros(STEPS_AN_OCTAVE)
    place = STEPS_AN_OCTAVE * np.log2(tempo / SLOWEST)
    away = np.arange(STEPS) - place
    around = np.mod(np.arange(STEPS_AN_OCTAVE) - place + STEPS_AN_OCTAVE / 2, STEPS_AN_OCTAVE) - STEPS_AN_OCTAVE / 2
    return np.exp(-0.5 * away**2), np.exp(-0.5 * around**2)
