"""How loud a clip is, how much of it is clipped, and how much is silent."""

from __future__ import annotations

import warnings

import numpy as np

from musegen.metrics.hearing.base import Feature, Heard, Sound

BLOCK = 0.4
"""Seconds that a meter hears at a time; by its standard nothing shorter has a loudness."""

FULL_SCALE = 0.9999
RUN = 3
"""Samples in a row at full scale that count as clipped: a lone one may be a peak that was turned down to fit."""

SILENT = -60.0
FRAME = 0.05


class Level(Feature):
    """Integrated loudness (LUFS), share of clipped samples, share of silent frames, and the peak.

    Loudness: ITU-R BS.1770-4, 2015, https://www.itu.int/rec/R-REC-BS.1770; −inf where all is under its gate, NaN where
    a clip is shorter than 0.4 s. Clipped: three or more samples in a row at full scale, of one sign. Silent: frames of
    50 ms whose root mean square lies under −60 dB of full scale.
    """

    def hear(self, sound: Sound) -> Heard:
        """``loudness``, ``clipped``, ``silent``, ``peak``: scalars."""
        samples = sound.audio.numpy()
        return {
            "loudness": np.float64(loudness(samples, sound.sample_rate)),
            "clipped": np.float64(clipped(samples)),
            "silent": np.float64(silent(samples, sound.sample_rate)),
            "peak": np.float64(np.abs(samples).max(initial=0.0)),
        }


def loudness(samples: np.ndarray, sample_rate: int) -> float:
    """Integrated loudness in LUFS of ``[channels, samples]``.

    Raises:
        ImportError: without pyloudnorm.
    """
    if samples.shape[1] <= BLOCK * sample_rate:
        return float("nan")
    try:
        from pyloudnorm import Meter
    except ImportError:
        raise ImportError("loudness is measured by pyloudnorm: pip install 'musegen[eval]'") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of no blocks, where all is silent
        return float(Meter(sample_rate).integrated_loudness(samples.T.astype(np.float64)))


def clipped(samples: np.ndarray) -> float:
    """Share of samples ``[channels, samples]`` that lie in a run at full scale."""
    if samples.shape[1] < RUN:
        return 0.0
    total = 0
    for sign in (1.0, -1.0):
        high = np.pad(sign * samples >= FULL_SCALE, ((0, 0), (1, 1))).astype(np.int8)
        for channel in np.diff(high, axis=1):
            lengths = np.flatnonzero(channel == -1) - np.flatnonzero(channel == 1)
            total += int(lengths[lengths >= RUN].sum())
    return total / samples.size


def silent(samples: np.ndarray, sample_rate: int) -> float:
    """Share of silent frames of ``[channels, samples]``; 1 for no samples at all."""
    frame = max(1, round(FRAME * sample_rate))
    count = samples.shape[1] // frame
    if not count:
        return float(20 * np.log10(np.sqrt(np.mean(samples**2)) + 1e-12) < SILENT) if samples.size else 1.0
    power = np.square(samples[:, : count * frame]).reshape(samples.shape[0], count, frame).mean((0, 2))
    return float(np.mean(10 * np.log10(power + 1e-24) < SILENT))
