"""Tempo and key of sounds whose tempo and key are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.key import PITCH_CLASSES, Key, chroma_of, key_of, profiles
from musegen.metrics.hearing.tempo import Tempo, autocorrelation, tempo_of
from musegen.metrics.key import related
from music_made import RATE, chords, clicks


@pytest.mark.parametrize("tempo", [97, 110, 128, 151, 170])
def test_clicks_have_their_tempo(tempo: int) -> None:
    assert abs(tempo_of(clicks(tempo)) / tempo - 1) < 0.02


@pytest.mark.parametrize("tempo", [52, 66, 70, 83, 190, 220])
def test_very_slow_and_fast_clicks_may_be_heard_on_another_level(tempo: int) -> None:
    ratio = tempo_of(clicks(tempo)) / tempo
    assert min(abs(ratio / factor - 1) for factor in (0.5, 1, 2)) < 0.02


def test_tempo_does_not_depend_on_level_or_rate() -> None:
    audio = torch.from_numpy(clicks(120))[None]
    loud, quiet = (Tempo().hear(Sound(level * audio, RATE))["tempo"] for level in (1.0, 0.01))
    assert loud == pytest.approx(quiet, rel=0.01)
    double = audio.repeat_interleave(2, 1)
    assert Tempo().hear(Sound(double, 2 * RATE))["tempo"] == pytest.approx(120, rel=0.02)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_cadences_are_in_their_key(tonic: int, mode: str) -> None:
    heard = key_of(chroma_of(chords(tonic, mode)))
    assert heard == tonic + 12 * (mode == "minor"), PITCH_CLASSES[heard % 12]


@pytest.mark.parametrize("samples", [0, 1, 1000, 4 * RATE])
def test_silence_and_scraps_have_neither(samples: int) -> None:
    sound = Sound(torch.zeros(2, samples), RATE)
    assert np.isnan(Tempo().hear(sound)["tempo"])
    assert Key().hear(sound)["key"] == -1


def test_noise_harms_nothing() -> None:
    noise = np.random.Generator(np.random.Philox(0)).standard_normal(4 * RATE).astype(np.float32)
    assert 40 <= tempo_of(noise) <= 240
    assert -1 <= key_of(chroma_of(noise)) < 24


def test_autocorrelation_finds_a_period() -> None:
    wave = np.cos(2 * np.pi * np.arange(400) / 20)
    found = autocorrelation(wave)
    assert found[0] == 1
    assert found[20] == pytest.approx(1, abs=1e-6)
    assert found[10] == pytest.approx(-1, abs=1e-6)


def test_profiles_are_transpositions() -> None:
    rows = profiles()
    assert np.allclose(np.roll(rows[0], 5), rows[5])
    assert np.allclose(np.roll(rows[12], 5), rows[17])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)


def test_keys_are_related_as_musicians_say() -> None:
    c_major, g_major, f_major, a_minor, c_minor, d_minor = 0, 7, 5, 21, 12, 14
    assert related(c_major, c_major) == "same"
    assert related(g_major, c_major) == related(f_major, c_major) == "fifth"
    assert related(a_minor, c_major) == related(c_major, a_minor) == "relative"
    assert related(c_minor, c_major) == "parallel"
    assert related(d_minor, c_major) == related(-1, c_major) == "other"
