"""Files of strangers: bounded, and decoded where they can do no harm."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from musegen.app.work import decoding, uploads
from musegen.app.work.uploads import read_upload


def tone(path: Path, seconds: float = 0.5, channels: int = 2, rate: int = 8000, **more: str) -> Path:
    wave = 0.3 * np.sin(np.arange(round(seconds * rate)) * 0.1)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **more)
    return path


def test_audio_arrives_as_it_is(tmp_path: Path) -> None:
    found = read_upload(tone(tmp_path / "my tune.wav"))
    expected, _ = soundfile.read(tmp_path / "my tune.wav", dtype="float32", always_2d=True)
    assert (found.rate, found.name) == (8000, "my tune")
    assert torch.equal(found.audio, torch.from_numpy(expected.T.copy()))


def test_only_the_front_pair_of_more_channels(tmp_path: Path) -> None:
    assert read_upload(tone(tmp_path / "x.wav", channels=6)).audio.shape == (2, 4000)
    assert read_upload(tone(tmp_path / "x.wav", channels=1)).audio.shape == (1, 4000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "got an empty one"),
        (b"this is a text, and no sound", "cannot be read as audio"),
        (b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\x00\x00\x00" + b"\xff" * 64, "audio file"),
        (b"OggS" + bytes(range(256)) * 8, "audio file"),
    ],
)
def test_what_is_no_audio_is_refused_in_a_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read_upload(path)
    assert "\n" not in str(error.value)
    assert str(tmp_path) not in str(error.value), "where the server keeps it is nobody's business"


def test_size_and_length_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"more than 0[.]005 minutes"):
        read_upload(tone(tmp_path / "x.wav"), longest=0.3)
    with open(tmp_path / "large.wav", "wb") as file:
        file.truncate(uploads.MAX_BYTES + 1)
    with pytest.raises(ValueError, match="at most 64 MB"):
        read_upload(tmp_path / "large.wav")
    with pytest.raises(ValueError, match="did not arrive"):
        read_upload(tmp_path / "nowhere.wav")


def test_numbers_that_are_none_and_odd_rates_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "nan.wav", np.full((100, 1), np.nan, np.float32), 8000, subtype="FLOAT")
    with pytest.raises(ValueError, match="samples that are no numbers"):
        read_upload(tmp_path / "nan.wav")
    with pytest.raises(ValueError, match="a sample rate of 100 Hz"):
        read_upload(tone(tmp_path / "slow.wav", rate=100))


def test_a_decoder_that_dies_or_hangs_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tone(tmp_path / "x.wav")
    dying, hanging = tmp_path / "dying.py", tmp_path / "hanging.py"
    dying.write_text("import os; os.abort()")
    hanging.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(uploads, "WAIT", 0.5)
    for program in (dying, hanging):
        monkeypatch.setattr(decoding, "__file__", str(program))
        with pytest.raises(ValueError, match="its decoder cannot read"):
            read_upload(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_the_decoder_has_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "greedy.py"
    source = Path(decoding.__file__).read_text(encoding="utf-8")
    program.write_text(
        source.replace("    import numpy as np\n", "    bytearray(3 << 30)\n    import numpy as np\n", 1)
    )
    monkeypatch.setattr(decoding, "__file__", str(program))
    with pytest.raises(ValueError, match="its decoder cannot read"):
        read_upload(tone(tmp_path / "x.wav"))
