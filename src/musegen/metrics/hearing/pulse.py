"""At which tempi a clip repeats: the autocorrelation of its onsets, of low, middle and high bands apart; in numpy."""

from __future__ import annotations

import numpy as np

from musegen.metrics.hearing.base import Feature, Heard, Sound
from musegen.metrics.hearing.tempo import HOP, RATE, SHORTEST, autocorrelation, log_bands

TEMPI = 30.0 * 2.0 ** (np.arange(80) / 24)
"""Beats a minute, a quarter of a tone apart, from 30 to 294: two neighbours differ by 2.9 %."""

PARTS = (slice(0, 6), slice(6, 20), slice(20, 40))
"""Bands of bass and kick; of most melodies; of cymbals."""


class Pulse(Feature):
    """What a tempo is chosen from, before it is chosen, and how the sound is spread over low and high.

    Unlike `Tempo`, which says one number, a curve keeps the double and the half, and what the bass does apart from the
    cymbals tells one groove from another.
    """

    def hear(self, sound: Sound) -> Heard:
        """Listen to a clip.

        Returns:
            ``curves [3, 80]``: correlation of each part's onsets at the beat of `TEMPI`; ``bands [2, 40]``: mean and
            standard deviation of the bands' log energy. Zeros for silence and for clips under three seconds.
        """
        samples = sound.mono(RATE).numpy()
        curves = np.zeros((len(PARTS), len(TEMPI)))
        if len(samples) < SHORTEST * RATE:
            return {"curves": curves, "bands": np.zeros((2, PARTS[-1].stop))}
        bands = log_bands(samples)
        rises = np.maximum(bands[1:] - bands[:-1], 0.0)
        for row, part in enumerate(PARTS):
            curves[row] = curve_of(rises[:, part].mean(1))
        return {"curves": curves, "bands": np.stack([bands.mean(0), bands.std(0)])}


def curve_of(rise: np.ndarray) -> np.ndarray:
    """Autocorrelation of onsets ``[frames]`` at the beat of each of `TEMPI`; zeros where nothing rises."""
    smooth = np.convolve(rise, np.ones(RATE // HOP) / (RATE // HOP), mode="same")
    rise = np.maximum(rise - smooth, 0.0)
    if not rise.any():
        return np.zeros(len(TEMPI))
    correlation = autocorrelation(rise - rise.mean())
    lags = 60 * RATE / HOP / TEMPI
    return np.interp(lags, np.arange(len(correlation)), correlation) * (lags < 0.75 * len(correlation))
