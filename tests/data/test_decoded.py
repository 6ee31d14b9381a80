"""Songs that are kept decoded: the same items, from files that are there whole or not at all."""

from __future__ import annotations

import io
import sys
import warnings
import wave
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from dying_disk import DyingDisk, KilledError
from little_shards import SAMPLE_RATE, flac
from musegen.data import decoded
from musegen.data.decoded import DecodedSongs, keep, open_whole
from musegen.data.module import ShardData
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

SHARD = "0" * 64


def noise(seconds: float, channels: int, subtype: str = "PCM_16", seed: int = 0) -> bytes:
    """Audio at full scale, so that every bit matters."""
    samples = np.random.default_rng(seed).integers(-(2**31), 2**31, (round(seconds * SAMPLE_RATE), channels), np.int32)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="FLAC", subtype=subtype)
    return buffer.getvalue()


KINDS = [(5, 2), (4, 1), (1, 2), (0.5, 1), (2, 2)]
"""Seconds and channels: longer and shorter than a crop of 2 s."""


def put_songs(folder: Path, subtypes: Sequence[str] = ("PCM_16",)) -> Path:
    with ShardWriter(folder, {"audio": "noise"}, samples_per_shard=4) as writer:
        for number in range(10):
            seconds, channels = KINDS[number % 5]
            audio = noise(seconds, channels, subtypes[number % len(subtypes)], seed=number)
            writer.write(Sample(f"song-{number}", {"captions": [f"a {number}", f"b {number}"]}, audio=audio))
    return folder


def data(folder: Path, kept: Path | None, trained: bool = True, **arguments: Any) -> ShardData:
    module = ShardData(
        [str(folder)], [str(folder)], fields=["audio", "caption"], batch_size=2, samples=2 * SAMPLE_RATE,
        **({"sample_rate": SAMPLE_RATE, "decoded": None if kept is None else str(kept)} | arguments),
    )  # fmt: skip
    if trained:
        module.trainer = SimpleNamespace(global_rank=0, world_size=1)  # type: ignore[assignment]
    return module


def batches(module: ShardData) -> Iterator[dict[str, Any]]:
    """Two epochs of training, and two of validation."""
    train, val = module.train_dataloader(), module.val_dataloader()
    for loader in (train, train, val, val):
        yield from loader
    module.teardown("fit")


def check_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert list(one) == list(other)
    for name, part in one.items():
        if isinstance(part, torch.Tensor):
            assert part.dtype == other[name].dtype
            assert torch.equal(part, other[name]), name
        else:
            assert part == other[name], name


@pytest.mark.parametrize("trained", [True, False], ids=["packed", "float32"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same(tmp_path: Path, workers: int, trained: bool) -> None:
    songs, kept = put_songs(tmp_path / "songs", ["PCM_16", "PCM_16", "PCM_24"]), tmp_path / "kept"
    modules = [data(songs, folder, trained, num_workers=workers) for folder in (None, kept)]
    kinds = set()
    for one, other in zip(*map(batches, modules), strict=True):
        check_same(one, other)
        kinds.add(one["audio"].dtype)
    assert kinds == ({torch.int16, torch.float32} if trained else {torch.float32})
    shards = [shard.sha256 for shard in ShardFolder(songs).index.shards]
    expected = {kept / shards[number // 4] / f"{number % 4:05d}.wav" for number in range(10) if number % 3 < 2}
    assert {path for path in kept.rglob("*") if path.is_file()} == expected


def test_what_is_kept_is_not_read_again(tmp_path: Path) -> None:
    songs, kept = put_songs(tmp_path / "songs"), tmp_path / "kept"
    expected = list(batches(data(songs, kept)))
    for shard in ShardFolder(songs).shards:
        content = bytearray(shard.path.read_bytes())
        for number in range(shard.entry.samples):
            begin, size, _ = shard.table.places(number)["flac"]
            content[begin : begin + size] = bytes(size)
        shard.path.write_bytes(content)
    for one, other in zip(expected, batches(data(songs, kept)), strict=True):
        check_same(one, other)
    with pytest.raises(ValueError, match="damaged"):
        list(batches(data(songs, None)))


def test_it_is_a_wav_that_anything_plays(tmp_path: Path) -> None:
    keep(flac(1.5), tmp_path / "song.wav")
    with wave.open(str(tmp_path / "song.wav")) as song:
        assert song.getparams()[:4] == (2, 2, SAMPLE_RATE, 1500)
        assert np.frombuffer(song.readframes(9), "<i2").reshape(9, 2).tolist() == [[n, -n] for n in range(9)]
    samples, _ = soundfile.read(tmp_path / "song.wav", dtype="int16")
    assert samples.tolist() == [[n, -n] for n in range(1500)]


def test_another_sample_rate_is_refused_as_ever(tmp_path: Path) -> None:
    songs = put_songs(tmp_path / "songs")
    messages = set()
    for kept in (None, tmp_path / "kept", tmp_path / "kept"):  # decoded each time, then first and then later
        with pytest.raises(ValueError, match="expected audio at 44100 Hz, got 1000 Hz") as error:
            list(data(songs, kept, sample_rate=44100).val_dataloader())
        messages.add(str(error.value))
    assert len(messages) == 1


@pytest.mark.parametrize("left", [0, 20, 44, 100, 4043], ids=lambda left: f"{left} bytes")
def test_what_was_cut_off_is_not_taken_for_whole(tmp_path: Path, left: int) -> None:
    content, songs = flac(1), DecodedSongs(tmp_path)
    songs.open(SHARD, 3, lambda: content).close()
    (path,) = tmp_path.rglob("*.wav")
    whole = path.read_bytes()
    assert len(whole) == 4044
    path.write_bytes(whole[:left])
    assert open_whole(path) is None
    with songs.open(SHARD, 3, lambda: content) as song:
        assert song.read() == whole


def test_a_process_that_is_killed_at_any_moment_leaves_nothing_that_is_taken_for_whole(tmp_path: Path) -> None:
    content = flac(1)
    keep(content, tmp_path / "whole.wav")
    whole = (tmp_path / "whole.wav").read_bytes()
    last, dead = 0, True
    while dead:
        folder = tmp_path / str(last)
        disk = DyingDisk(folder, last)
        with disk.watched(), suppress(KilledError):
            DecodedSongs(folder).open(SHARD, 0, lambda: content).close()
        left = [path.read_bytes() for path in folder.rglob("*.wav")]
        assert left in ([], [whole])
        with DecodedSongs(folder).open(SHARD, 0, lambda: content) as song:
            assert song.read() == whole
        last, dead = last + 1, disk.dead
    assert last > 6


def longer_by_its_own_account(content: bytes) -> bytes:
    """FLAC's first block says in bytes 21 to 25, but for four bits, how many samples there are."""
    return content[:25] + bytes([content[25] + 1]) + content[26:]


@pytest.mark.parametrize(
    "audio",
    [flac(1)[:-200], b"fLaC?", flac(0), longer_by_its_own_account(flac(1))],
    ids=["cut off", "no FLAC", "empty", "longer by its own account"],
)
def test_what_cannot_be_decoded_is_left(tmp_path: Path, audio: bytes) -> None:
    with DecodedSongs(tmp_path).open(SHARD, 0, lambda: audio) as song:
        song.seek(0)
        assert song.read() == audio
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_full_disk_is_said_once(tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    songs, kept = put_songs(tmp_path / "songs"), tmp_path / "kept"
    kept.write_text("no folder")  # which fails as a full disk does, for root too
    expected = list(batches(data(songs, None)))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: print(message, file=sys.stderr)
        made = list(batches(data(songs, kept, num_workers=workers)))
    for one, other in zip(expected, made, strict=True):
        check_same(one, other)
    assert capfd.readouterr().err.count("songs cannot be kept") == 1


def test_the_last_room_on_a_disk_is_left_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "RESERVE", 1 << 62)
    with pytest.warns(UserWarning, match="No space left on device"):
        DecodedSongs(tmp_path).open(SHARD, 0, lambda: flac(1)).close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("action", ["mkdir", "open", "write", "replace"])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, action: str) -> None:
    content = flac(1)
    whole = DyingDisk(tmp_path / "whole")
    with whole.watched():
        DecodedSongs(whole.folder).open(SHARD, 0, lambda: content).close()
    last = max(place for place, name in enumerate(whole.actions) if name.startswith(action))
    songs = DecodedSongs(tmp_path / "full")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(3):
            with DyingDisk(songs.folder, last, "error").watched(), songs.open(SHARD, 0, lambda: content) as song:
                assert song.read() == content
    assert [str(warning.message) for warning in said] == [
        f"decoded: songs cannot be kept in {songs.folder}: No space left on device; they are decoded each time"
    ]
    assert not [path for path in songs.folder.rglob("*") if path.is_file()]
