"""Mixing: places, rooms and loudness, by what they do to known signals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from musegen.data.rendering.mixing import ALLPASSES, COMBS, LOUDNESS, PEAK, SPREAD, loudness, normalise, place, room


def noise(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    mono = np.random.default_rng(seed).standard_normal(int(44100 * seconds)).astype(np.float32) * 0.1
    return np.stack([mono, mono])


def test_a_place_keeps_the_power() -> None:
    power = (noise() ** 2).sum()
    for pan in (-1.0, -0.4, 0.0, 0.7, 1.0):
        placed = place(noise(), 1.0, pan)
        assert (placed**2).sum() == pytest.approx(power, rel=1e-4)
    left, right = place(noise(), 1.0, -1.0)
    assert (right**2).sum() < 1e-9 < (left**2).sum()
    np.testing.assert_allclose(place(noise(), 0.5, 0.0), 0.5 * noise(), atol=1e-6)


def test_width_goes_to_the_sides_alone() -> None:
    narrow, wide = place(noise(), 1.0, 0.0), place(noise(), 1.0, 0.0, width=500)
    np.testing.assert_allclose(wide.sum(0), narrow.sum(0), atol=1e-5)
    sides = ((wide[0] - wide[1]) ** 2).sum() / (wide.sum(0) ** 2).sum()
    assert 10 * math.log10(sides) == pytest.approx(20 * math.log10(0.33), abs=0.2)


def impulse(seconds: float = 3.0) -> np.ndarray:
    audio = np.zeros((2, int(44100 * seconds)), dtype=np.float32)
    audio[:, 0] = 1.0
    return audio


def test_a_room_dies_away_in_its_time() -> None:
    for seconds in (0.5, 1.5):
        answer = room(impulse(), seconds, damping=0.0)
        energy = np.cumsum((answer**2).sum(0)[::-1])[::-1]
        decibels = 10 * np.log10(energy / energy[0] + 1e-12)
        fell = [np.argmax(decibels < level) / 44100 for level in (-5, -35)]  # Schroeder's T30
        assert 2 * (fell[1] - fell[0]) == pytest.approx(seconds, rel=0.15)
    dark, bright = (np.abs(np.fft.rfft(room(impulse(), 1.5, damping)[0])) for damping in (0.5, 0.0))
    assert dark[len(dark) // 2 :].sum() / dark.sum() < 0.8 * bright[len(bright) // 2 :].sum() / bright.sum()


def test_a_room_answers_later_and_apart() -> None:
    answer = room(impulse(), 1.0)
    first = np.argmax(np.abs(answer) > 1e-3, axis=1)
    assert first[0] == min(COMBS)
    assert first[1] == min(COMBS) + SPREAD
    assert abs(np.corrcoef(answer)[0, 1]) < 0.2
    np.testing.assert_allclose(room(2 * impulse(), 1.0), 2 * answer, atol=1e-5)


def test_a_room_is_that_of_the_recursion() -> None:
    """Against the same filters, a sample at a time."""
    from scipy.signal import lfilter

    audio = noise(0.3)
    mono = audio.mean(0).astype(np.float64)
    smooth = np.convolve(mono, np.ones(160) / 160)[: len(mono)]
    expected = np.zeros_like(mono)
    for delay in COMBS:
        feedback = 10 ** (-3 * delay / 44100)
        denominator = np.zeros(delay + 2)
        denominator[[0, delay, delay + 1]] = 1, -feedback * 0.7, -feedback * 0.3
        numerator = np.zeros(delay + 1)
        numerator[delay] = 1
        expected += lfilter(numerator, denominator, mono - smooth)
    for delay in ALLPASSES:
        numerator, denominator = np.zeros(delay + 1), np.zeros(delay + 1)
        numerator[[0, delay]], denominator[[0, delay]] = (-0.5, 1), (1, -0.5)
        expected = np.asarray(lfilter(numerator, denominator, expected))
    np.testing.assert_allclose(room(audio, 1.0, damping=0.3)[0], expected / len(COMBS), atol=1e-5)


def test_loudness_leaves_silence_out() -> None:
    assert loudness(noise(), 44100) == pytest.approx(0.1, rel=0.02)
    half = noise()
    half[:, len(half[0]) // 2 :] = 0
    assert loudness(half, 44100) == pytest.approx(0.1, rel=0.05)
    assert loudness(np.zeros((2, 44100), dtype=np.float32), 44100) == 0.0


def test_pieces_come_to_one_loudness_without_clipping() -> None:
    for gain in (0.01, 1.0, 5.0):
        assert loudness(normalise(gain * noise(), 44100), 44100) == pytest.approx(LOUDNESS, rel=0.01)
    spiked = noise()
    spiked[0, 100] = 40.0
    assert np.abs(normalise(spiked, 44100)).max() == pytest.approx(PEAK)
    assert np.abs(normalise(np.zeros((2, 44100), dtype=np.float32), 44100)).max() == 0
