"""Spectrograms for eyes: a tone lies where its pitch is, beats where the drum is, a page is a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from musegen.metrics.hearing.base import Sound
from musegen.metrics.hearing.tempo import RATE
from musegen.metrics.spectrograms import BANDS, HIGHEST, LOWEST, Picture, beats, draw, mel_decibels
from music_made import clicks


def mel(frequency: float) -> float:
    return float(2595 * np.log10(1 + frequency / 700))


@pytest.mark.parametrize("frequency", [220.0, 1000.0, 5000.0])
def test_a_tone_lies_at_its_pitch(frequency: float) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE)
    picture = mel_decibels(tone)
    assert picture.max() == 0
    expected = (mel(frequency) - mel(LOWEST)) / (mel(HIGHEST) - mel(LOWEST)) * (BANDS + 1) - 1
    assert abs(picture.mean(1).argmax() - expected) <= 1


@pytest.mark.parametrize(("tempo", "late"), [(100, 0.0), (120, 0.21), (77, 0.5)])
def test_beats_lie_where_the_drum_is(tempo: int, late: float) -> None:
    sound = np.concatenate([np.zeros(int(late * RATE), np.float32), clicks(tempo, 10)])
    period = 60 / tempo
    away = (beats(sound, tempo) - late + period / 2) % period - period / 2
    assert np.abs(away).max() < 0.03
    assert len(away) >= 10 / period - 1


def test_a_page_is_drawn(tmp_path: Path) -> None:
    sound = Sound(torch.from_numpy(clicks(100, 4))[None], RATE)
    silent = Sound(torch.zeros(2, RATE), RATE)
    path = draw([[Picture("a drum", sound, 100.0), Picture("silence", silent)]], tmp_path / "page.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"expected rows of as many pictures each, got \[1, 0\]"):
        draw([[Picture("a drum", sound)], []], tmp_path / "none.png")
