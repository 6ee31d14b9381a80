"""Audio as it comes: every ugly file is made good or named, none crashes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from musegen.data.ingest.audio import AudioRules, read_piece
from musegen.data.ingest.bandwidth import bandwidth
from musegen.data.ingest.problems import UnusableError


def noise(seconds: float, rate: int = 44100, channels: int = 2, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).normal(size=(round(seconds * rate), channels)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 44100, **how: Any) -> str:
    soundfile.write(path, samples, rate, **how)
    return str(path)


def read(*paths: str, **rules: Any) -> tuple[np.ndarray, int, dict[str, Any]]:
    content, facts = read_piece(paths, AudioRules(**rules))
    samples, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    assert content[:4] == b"fLaC"
    assert facts["seconds"] == pytest.approx(len(samples) / rate)
    return samples, rate, facts


def test_a_good_file_keeps_its_samples(tmp_path: Path) -> None:
    original = noise(2)
    samples, rate, facts = read(write(tmp_path / "a.wav", original))
    assert rate == 44100
    assert np.abs(samples - original).max() < 1 / 32768
    assert facts == {"seconds": 2.0, "file_rate": 44100, "bandwidth": 22050}


@pytest.mark.parametrize(
    ("rate", "channels", "how", "notes"),
    [
        (16000, 1, {}, ["mono", "resampled from 16000 Hz"]),
        (48000, 2, {}, ["resampled from 48000 Hz"]),
        (44101, 2, {}, ["resampled from 44101 Hz"]),
        (44100, 2, {"subtype": "PCM_U8"}, ["8 bits"]),
        (44100, 6, {}, ["6 channels: the first two"]),
        (44100, 2, {"subtype": "FLOAT"}, None),
    ],
)
def test_what_is_unusual_is_made_usual(tmp_path: Path, rate: int, channels: int, how: Any, notes: Any) -> None:
    samples, new_rate, facts = read(write(tmp_path / "a.wav", noise(2, rate, channels), rate, **how))
    assert (new_rate, len(samples)) == (44100, 88200)
    assert samples.shape[1] == min(channels, 2)
    assert samples.std() == pytest.approx(0.1 * min(1, (44100 / rate) ** 0.5), rel=0.05)
    assert facts.get("notes") == notes
    assert facts["file_rate"] == rate


def test_a_file_may_keep_its_rate_and_peaks_are_turned_down(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 20 * noise(2, 22050), 22050, subtype="FLOAT")
    samples, rate, facts = read(path, sample_rate=None)
    assert rate == 22050
    assert np.abs(samples).max() == pytest.approx(1, abs=1e-3)
    assert facts["notes"] == ["peaks above full scale: turned down"]


def test_tracks_of_a_song_sound_together(tmp_path: Path) -> None:
    one, two = noise(2), noise(1.5, channels=1, seed=1)
    samples, _, facts = read(write(tmp_path / "a.wav", one), write(tmp_path / "b.wav", two))
    both = one.copy()
    both[: len(two)] += two
    assert np.abs(samples - both).max() < 1e-4
    assert "notes" not in facts
    other = write(tmp_path / "c.wav", noise(1, 8000), 8000)
    with pytest.raises(UnusableError, match="tracks of different sample rates: 44100 Hz, 8000 Hz"):
        read_piece([str(tmp_path / "a.wav"), other], AudioRules())


def test_mp3_and_ogg_are_read_and_a_cut_is_noted(tmp_path: Path) -> None:
    for name in ("a.mp3", "a.ogg", "a.flac"):
        samples, _, facts = read(write(tmp_path / name, noise(3)))
        assert len(samples) == pytest.approx(3 * 44100, abs=1200)
        assert "notes" not in facts
    whole = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "a.mp3").write_bytes(whole[: len(whole) // 2])
    samples, _, facts = read(str(tmp_path / "a.mp3"))
    assert 1 < len(samples) / 44100 < 2
    assert facts["notes"] == ["the file is cut off"]


def spoilt(values: Any) -> np.ndarray:
    samples = noise(2)
    samples[50] = values
    return samples


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "audio file is empty"),
        (b"<html>not found</html>", "audio cannot be decoded"),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio cannot be decoded"),
        (noise(0), "audio is empty"),
        (noise(0.5), "audio is too short: 0.50 s, expected 1 s or more"),
        (0 * noise(2), "audio is silent"),
        (spoilt(np.nan), "audio holds NaN or infinity: 2 values"),
        (spoilt(np.inf), "audio holds NaN or infinity: 2 values"),
        (None, "no audio file"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path: Path, content: Any, kind: str) -> None:
    path = tmp_path / "a.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        write(path, content, subtype="FLOAT")
    with pytest.raises(UnusableError, match=kind):
        read_piece([str(path)], AudioRules())


def test_a_cut_flac_and_odd_rates_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    write(path, noise(3))
    path.write_bytes(path.read_bytes()[:50000])
    with pytest.raises(UnusableError, match="audio cannot be decoded"):
        read_piece([str(path)], AudioRules())
    with pytest.raises(UnusableError, match="sample rate is out of range: 100 Hz"):
        read_piece([write(tmp_path / "b.wav", noise(300, 100), 100)], AudioRules())
    (tmp_path / "c.wav").mkdir()
    with pytest.raises(UnusableError, match="audio file cannot be read"):
        read_piece([str(tmp_path / "c.wav")], AudioRules())
    with pytest.raises(ValueError, match="sample_rate: expected"):
        AudioRules(sample_rate=10)


@pytest.mark.parametrize("limit", [4000, 8000, 12000])
def test_where_music_ends_is_heard(limit: int) -> None:
    from scipy.signal import resample_poly

    low = noise(4, 2 * limit)
    assert bandwidth(low, 2 * limit) == limit
    rate = 48000
    high = resample_poly(low, rate // (2 * limit), 1, window=("kaiser", 12.0))  # leaves a slope of images
    coded = np.rint(high * 32767) / 32767  # the rounding of 16 bits is no music
    assert limit * 0.95 <= bandwidth(coded, rate) <= limit * 1.4
    assert bandwidth(0 * low, rate) == 0
    assert bandwidth(noise(4), 44100) == 22050
    dull = noise(4) + 30 * np.sin(np.arange(4 * 44100) / 20)[:, None].astype(np.float32)
    assert bandwidth(dull, 44100) == 22050
