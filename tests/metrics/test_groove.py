"""The groove of rhythms that are known: their form tells them apart, their tempo does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.groove import SCALES, Groove, groove_of, scales
from music_made import RATE, clicks


def alike(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_a_faster_curve_is_the_same(factor: float) -> None:
    rate = 86.0
    time = np.arange(int(8 * rate)) / rate

    def repeating(beat: float, times: tuple[int, ...] = (1, 2, 3)) -> np.ndarray:
        beats = np.log(np.maximum(time, 1e-9) / beat)
        return np.sum([np.exp(-0.5 * ((beats - np.log(one)) / 0.1) ** 2) for one in times], 0)

    slow, fast, other = (
        scales(curve, rate) for curve in (repeating(0.6), repeating(0.6 / factor), repeating(0.6, (1, 2, 4)))
    )
    assert slow.shape == (SCALES,)
    apart = np.abs(slow - fast).mean(), np.abs(slow - other).mean()
    assert apart[0] < 0.2 * slow.mean()
    assert apart[1] > 2 * apart[0]


@pytest.mark.parametrize("tempo", [100, 125])
def test_three_beats_are_not_four(tempo: int) -> None:
    three, four = (groove_of(clicks(112, accent=accent)) for accent in (3, 4))
    heard = groove_of(clicks(tempo, accent=3))
    assert alike(heard, three) > alike(heard, four)


def test_level_and_rate_do_not_matter() -> None:
    audio = torch.from_numpy(clicks(120))[None]
    loud, quiet = (np.asarray(Groove().hear(Sound(level * audio, RATE))["groove"]) for level in (1.0, 0.01))
    assert loud.shape == (3, SCALES)
    assert alike(loud, quiet) > 0.99


@pytest.mark.parametrize("samples", [0, 100, 2 * RATE, 4 * RATE])
def test_silence_and_short_clips_have_none(samples: int) -> None:
    heard = Groove().hear(Sound(torch.zeros(2, samples), RATE))["groove"]
    assert not np.asarray(heard).any()
