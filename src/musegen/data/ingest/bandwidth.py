"""Up to which frequency there is something in a piece of music.

What was sampled at 16 kHz, or went through a lossy codec at a low rate, stays dull at any sample rate: a model that
learns to make sound from it learns to make dull sound.
"""

from __future__ import annotations

import numpy as np

FRAME = 4096
MOST_FRAMES = 256
BAND = 250.0
"""Width of the bands that are compared, Hz."""
RANGE_DB = 80.0
"""A band that is quieter than the loudest one by more than this counts as empty. The rounding of 16 bits lies lower."""
DULL = 12000.0
"""Below this a piece counts as band-limited, Hz."""


def bandwidth(samples: np.ndarray, rate: int) -> float:
    """The upper edge of the highest band that is not empty.

    Args:
        samples: ``[samples, channels]``, at the rate that they were recorded with.
        rate: Hz.

    Returns:
        Hz, at most half the rate; 0 of silence.
    """
    if len(samples) < FRAME:
        samples = np.pad(samples, ((0, FRAME - len(samples)), (0, 0)))
    starts = np.unique(np.linspace(0, len(samples) - FRAME, MOST_FRAMES).astype(np.int64))
    window = np.hanning(FRAME).astype(np.float32)[:, None]
    power = np.zeros(FRAME // 2 + 1)
    for start in starts:
        spectrum = np.fft.rfft(samples[start : start + FRAME] * window, axis=0)
        power += (np.abs(spectrum) ** 2).sum(1)
    width = max(1, round(BAND * FRAME / rate))
    bands = np.add.reduceat(power, np.arange(0, len(power), width))
    if not bands.any():
        return 0.0
    highest = int(np.flatnonzero(bands > bands.max() * 10 ** (-RANGE_DB / 10))[-1])
    return min((highest + 1) * width * rate / FRAME, rate / 2)
