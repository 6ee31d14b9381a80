from __future__ import annotations

import io
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from musegen.audio import encode_audio, read_audio, resample, to_channels, write_audio
from musegen.files import write_whole

RATE = 44100


def sine(seconds: float = 1.0, hertz: float = 440.0, level: float = 0.5, rate: int = RATE) -> torch.Tensor:
    time = torch.arange(int(seconds * rate)) / rate
    left = level * torch.sin(2 * math.pi * hertz * time)
    return torch.stack([left, -0.5 * left])


@pytest.mark.parametrize(("format", "bits", "tolerance"), [("wav", 16, 1.6e-5), ("flac", 24, 7e-8), ("wav", 32, 0.0)])
def test_what_is_written_is_read_back(tmp_path: Path, format: str, bits: int, tolerance: float) -> None:
    audio = sine()
    path = write_audio(tmp_path / f"a.{format}", audio, RATE, bits=bits)
    subtype = soundfile.info(path).subtype
    assert subtype == {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}[bits]
    read, rate = read_audio(path)
    assert rate == RATE
    assert read.shape == audio.shape
    # integer full scale is one step below 1, so levels agree to one part in 32767 (or 2^23 - 1)
    scaled = audio * (1 if bits == 32 else (2 ** (bits - 1) - 1) / 2 ** (bits - 1))
    assert (read - scaled).abs().max() <= tolerance


def test_ogg_sounds_like_the_original(tmp_path: Path) -> None:
    audio = sine(5.0)
    read, _ = read_audio(write_audio(tmp_path / "a.ogg", audio, RATE))
    assert read.shape == audio.shape
    assert (read - audio).abs().max() < 0.05


@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_loud_audio_is_turned_down_and_never_clipped(tmp_path: Path, format: str) -> None:
    audio = sine(level=3.0)
    read, _ = read_audio(write_audio(tmp_path / f"a.{format}", audio, RATE))
    assert read.abs().max() == pytest.approx(1.0, abs=0.03)
    assert (read - audio / audio.abs().max()).abs().max() < 0.05


def test_audio_up_to_full_scale_keeps_its_level() -> None:
    audio = torch.tensor([[1.0, -1.0, 0.25, 0.0]])
    samples, _ = soundfile.read(io.BytesIO(encode_audio(audio, RATE)), dtype="int16")
    assert samples.tolist() == [32767, -32767, 8192, 0]


def test_encoding_is_deterministic() -> None:
    for format in ("wav", "flac"):
        assert encode_audio(sine(), RATE, format) == encode_audio(sine(), RATE, format)


def test_empty_audio_is_a_file_too(tmp_path: Path) -> None:
    read, _ = read_audio(write_audio(tmp_path / "a.wav", torch.zeros(2, 0), RATE))
    assert read.shape == (2, 0)


@pytest.mark.parametrize(
    ("audio", "arguments", "message"),
    [
        (torch.zeros(2, 8), {"format": "mp4"}, "format: expected one of wav, flac, ogg, got 'mp4'"),
        (torch.zeros(2, 8), {"bits": 12}, "bits: expected 16 or 24"),
        (torch.zeros(2, 8), {"bits": 32, "format": "flac"}, "bits: expected 16 or 24"),
        (torch.zeros(8), {}, r"audio: expected \[1 or 2 channels, samples\], got \[8\]"),
        (torch.tensor([[0.0, math.nan]]), {}, "audio: expected finite samples"),
    ],
)
def test_wrong_audio_is_one_line(audio: torch.Tensor, arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        encode_audio(audio, RATE, **arguments)
    assert "\n" not in str(error.value)


def test_reading_what_is_not_audio_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(ValueError, match=r"text\.wav: expected an audio file") as error:
        read_audio(tmp_path / "text.wav")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("(WAV, FLAC, OGG, MP3 …): Format not recognised")
    with pytest.raises(FileNotFoundError, match=r"expected an audio file, got none: .*none\.wav"):
        read_audio(tmp_path / "none.wav")
    with pytest.raises(IsADirectoryError, match="expected an audio file, got a folder: "):
        read_audio(tmp_path)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"before")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match=r"cannot write: No space left on device: '.*old'"):
        write_whole({old: b"after", new: b"new"})
    assert old.read_bytes() == b"before"
    assert sorted(tmp_path.iterdir()) == [old]


def test_a_file_over_the_limit_leaves_nothing(tmp_path: Path) -> None:
    """A real failure in the middle of writing, by a limit on the size of files."""
    script = (
        "import resource, torch; from musegen.audio import write_audio; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        f"write_audio({str(tmp_path / 'a.wav')!r}, torch.zeros(2, 44100), 44100)"
    )
    done = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"cannot write: File too large: '{tmp_path / 'a.wav'}'" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 4096


def test_channels() -> None:
    mono, stereo, surround = torch.randn(1, 9), torch.randn(2, 9), torch.randn(6, 9)
    assert torch.equal(to_channels(mono, 2), mono.repeat(2, 1))
    assert torch.equal(to_channels(stereo, 1), stereo.mean(0, keepdim=True))
    assert torch.equal(to_channels(surround, 2), surround[:2])
    assert to_channels(surround, None) is surround
    with pytest.raises(ValueError, match="channels: expected 1, 2 or None, got 3"):
        to_channels(mono, 3)


def test_resampling_keeps_pitch_and_length(tmp_path: Path) -> None:
    path = write_audio(tmp_path / "a.wav", sine(rate=32000), 32000)
    read, rate = read_audio(path, sample_rate=RATE)
    assert rate == RATE
    assert read.shape == (2, RATE)
    middle = slice(1000, -1000)  # the ends ring
    assert (read - sine())[:, middle].abs().max() < 2e-3
    assert resample(read, RATE, RATE) is read
    assert np.isfinite(read.numpy()).all()
