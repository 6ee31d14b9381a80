"""Parts to one stereo piece: levels, places, width, a room, a common loudness. Plain sums, the same on any machine."""

from __future__ import annotations

import math

import numpy as np

LOUDNESS = 0.1
"""Root mean square that pieces are brought to, of their blocks that are not much quieter than the others."""

PEAK = 0.97
LEVELS = {"lead": -3.0, "drums": -5.0, "bass": -6.0, "chords": -7.0, "pad": -10.0}
"""Decibels of the parts against each other."""

COMBS = (1557, 1617, 1491, 1422, 1277, 1356, 1188, 1116)
ALLPASSES = (225, 556, 441, 341)
SPREAD = 23
"""Delays in samples at 44.1 kHz, and how much longer they are on the right, of Freeverb (Jezar, 2000), an arrangement
of Schroeder's combs and all-passes (Natural sounding artificial reverberation, 1962)."""


def loudness(audio: np.ndarray, sample_rate: int) -> float:
    """Root mean square of the blocks of 0.4 s that are at most 10 dB below the mean, as EBU R 128 gates.

    Args:
        audio: ``[channels, samples]``.
        sample_rate: in Hz.
    """
    block = max(1, int(0.4 * sample_rate))
    count = max(1, audio.shape[1] // block)
    powers = (audio[:, : count * block].astype(np.float64) ** 2).mean(0)
    powers = powers[: len(powers) // count * count].reshape(count, -1).mean(1)
    loud = powers[powers >= 0.1 * powers.mean()]
    return math.sqrt(float(loud.mean())) if len(loud) else 0.0


def place(audio: np.ndarray, gain: float, pan: float, width: int = 0) -> np.ndarray:
    """A part in the stereo field, at equal power.

    Args:
        audio: ``[2, samples]``.
        gain: factor.
        pan: -1 left … 1 right.
        width: samples of delay with which a third of it goes to the sides, in opposite phase, so that nothing of it is
            left in mono (Lauridsen's pseudo-stereo); 0 for none.
    """
    angle = (pan + 1) * math.pi / 4
    sides = np.array([[math.cos(angle)], [math.sin(angle)]], dtype=np.float32) * np.float32(gain * math.sqrt(2))
    placed = audio * sides
    if width:
        late = np.float32(0.33 * gain) * audio.mean(0)[:-width]
        placed[0, width:] += late
        placed[1, width:] -= late
    return placed


def room(audio: np.ndarray, seconds: float, damping: float = 0.4) -> np.ndarray:
    """What a room answers: eight combs that damp, then four all-passes, others on the left than on the right.

    Args:
        audio: ``[2, samples]`` at 44.1 kHz.
        seconds: in which it dies away by 60 dB.
        damping: share of a neighbouring sample in what returns, 0 … 0.5: highs die sooner.

    Returns:
        The echoes alone, ``[2, samples]``.
    """
    mono = audio.mean(0)
    mono = mono - _smooth(mono, 160)  # no echoes of the bass, which only blur
    answered = np.empty_like(audio)
    for side in range(2):
        total = np.zeros_like(mono)
        for comb in COMBS:
            delay = comb + side * SPREAD
            total += _comb(mono, delay, 10 ** (-3 * delay / (44100 * seconds)), damping)
        for allpass in ALLPASSES:
            total = _allpass(total, allpass + side * SPREAD)
        answered[side] = total / len(COMBS)
    return answered


def normalise(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Bring a piece to the common `LOUDNESS`, or as near as its peaks allow without clipping."""
    level, peak = loudness(audio, sample_rate), float(np.abs(audio).max())
    return audio * np.float32(min(LOUDNESS / level, PEAK / peak)) if level > 0 else audio


def _comb(signal: np.ndarray, delay: int, feedback: float, damping: float) -> np.ndarray:
    """``y[n - delay]`` of ``y[n] = x[n] + feedback · ((1 - damping) · y[n - delay] + damping · y[n - delay - 1])``.

    A block of one delay at a time, of which nothing depends on itself.
    """
    out = np.concatenate([np.zeros(delay + 1, np.float32), signal])
    near, far = np.float32(feedback * (1 - damping)), np.float32(feedback * damping)
    for start in range(delay + 1, len(out), delay):
        stop = min(start + delay, len(out))
        past = out[start - delay - 1 : stop - delay]
        out[start:stop] += near * past[1:] + far * past[:-1]
    return out[1 : len(signal) + 1]


def _allpass(signal: np.ndarray, delay: int) -> np.ndarray:
    """``y[n] = x[n - delay] - x[n] / 2 + y[n - delay] / 2``, a block at a time."""
    half = np.float32(0.5)
    padded = np.concatenate([np.zeros(delay, np.float32), signal])
    out = np.concatenate([np.zeros(delay, np.float32), padded[: len(signal)] - half * signal])
    for start in range(delay, len(out), delay):
        stop = min(start + delay, len(out))
        out[start:stop] += half * out[start - delay : stop - delay]
    return out[delay:]


def _smooth(signal: np.ndarray, width: int) -> np.ndarray:
    """A moving average over a number of samples."""
    total = np.concatenate([np.zeros(width), np.cumsum(signal, dtype=np.float64)])
    return ((total[width:] - total[:-width]) / width).astype(np.float32)
