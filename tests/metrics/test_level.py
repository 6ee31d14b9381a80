"""Loudness against the standard's reference tone; clipping and silence against what was made so."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from helpers import require
from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.level import Level, clipped, loudness, silent

RATE = 48000


def tone(level: float, seconds: float = 10.0, frequency: float = 997.0, channels: int = 2) -> np.ndarray:
    """A sine whose peak lies so many dB under full scale."""
    wave = 10 ** (level / 20) * np.sin(2 * math.pi * frequency * np.arange(int(seconds * RATE)) / RATE)
    return np.repeat(wave[None], channels, 0).astype(np.float32)


@pytest.mark.parametrize("level", [-23.0, -33.0])
def test_a_stereo_tone_of_997_hz_is_as_loud_as_its_peak(level: float) -> None:
    require("pyloudnorm")
    assert abs(loudness(tone(level), RATE) - level) < 0.1
    assert abs(loudness(tone(level, channels=1), RATE) - (level - 3.01)) < 0.1


def test_gates_leave_silence_out() -> None:
    require("pyloudnorm")
    half_silent = np.concatenate([tone(-23.0), np.zeros((2, 10 * RATE), np.float32)], 1)
    assert abs(loudness(half_silent, RATE) + 23.0) < 0.2
    assert loudness(np.zeros((2, RATE), np.float32), RATE) == -math.inf
    assert math.isnan(loudness(tone(-23.0, 0.3), RATE))


def test_only_runs_at_full_scale_are_clipped() -> None:
    wave = np.zeros((2, 100), np.float32)
    wave[0, 10:14], wave[0, 20:22], wave[1, 30:33], wave[1, 97:] = 1.0, 1.0, -1.0, 1.0
    assert clipped(wave) == pytest.approx((4 + 3 + 3) / 200)
    assert clipped(tone(0.0)) < 0.01
    assert clipped(np.clip(3 * tone(0.0), -1, 1)) > 0.5
    assert clipped(np.ones((2, 1), np.float32)) == 0.0


def test_silence_is_a_share_of_frames() -> None:
    wave = np.concatenate([tone(-20.0, 3.0), tone(-80.0, 1.0)], 1)
    assert silent(wave, RATE) == pytest.approx(0.25)
    assert silent(np.zeros((2, 0), np.float32), RATE) == 1.0
    assert silent(np.zeros((2, 7), np.float32), RATE) == 1.0


@pytest.mark.parametrize("samples", [0, 1, 1000])
def test_short_and_empty_clips_have_levels(samples: int) -> None:
    heard = Level().hear(Sound(torch.zeros(2, samples), 44100))
    assert heard["silent"] == 1.0
    assert heard["clipped"] == 0.0
    assert math.isnan(heard["loudness"])
