"""How a clip's beats are divided and grouped, whatever its tempo: the scale transform of its onsets, in numpy."""

from __future__ import annotations

import numpy as np

from musegen.metrics.hearing.base import Feature, Heard, Sound
from musegen.metrics.hearing.tempo import HOP, RATE, SHORTEST, autocorrelation, log_bands, sparse

PARTS = (slice(0, 5), slice(5, 15), slice(15, 40))
"""Bands of bass and kick; of most melodies; of cymbals and brushes."""

LAGS = 5.0 * 2.0 ** (-np.arange(112) / 24)
"""Seconds after which onsets may come back, a quarter of a tone apart, from 5 s to 0.2 s."""

SCALES = 60
"""Numbers that are kept of each part."""


class Groove(Feature):
    """The rhythm of low, middle and high bands.

    The autocorrelation of onsets over the logarithm of the lag moves, and does not change its form, where the same
    music is played faster; the size of its Fourier transform does not even move. So a waltz resembles a waltz at any
    tempo. After "Scale transform in rhythmic similarity of music", 2011, https://doi.org/10.1109/TASL.2010.2045782.
    """

    def hear(self, sound: Sound) -> Heard:
        """``groove [3, 60]``; zeros for silence and for clips under three seconds."""
        return {"groove": groove_of(sound.mono(RATE).numpy())}


def groove_of(samples: np.ndarray) -> np.ndarray:
    """The groove ``[3, 60]`` of mono audio at 22050 Hz."""
    groove = np.zeros((len(PARTS), SCALES))
    if len(samples) < SHORTEST * RATE:
        return groove
    bands = log_bands(samples)
    rises = np.maximum(bands[1:] - bands[:-1], 0.0)
    for number, part in enumerate(PARTS):
        onsets = sparse(rises[:, part].mean(1))
        if onsets.any():
            groove[number] = scales(autocorrelation(onsets - onsets.mean()), RATE / HOP)
    return groove


def scales(correlation: np.ndarray, rate: float) -> np.ndarray:
    """The scale transform of a correlation by lag in frames, of which there are so many a second, ``[60]``."""
    lags = LAGS * rate
    curve = np.interp(lags, np.arange(len(correlation)), correlation) * (lags < 0.75 * len(correlation))
    return np.abs(np.fft.rfft(curve * np.hanning(len(curve)), 256))[:SCALES]
