"""Shards on disk: what is written comes back, with the same bytes every time, and damage is found."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import webdataset

from little_shards import MADE_BY, flac, little_folder, little_sample, unit
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample, from_members, to_members
from musegen.data.shard_index import check_made_by, read_index
from musegen.data.shard_reader import DamagedShardError, read_samples
from musegen.data.shard_writer import ShardWriter

ALL = ("caption", "embedding", "latents", "audio")


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    little_folder(tmp_path, audio=True)
    folder = ShardFolder(tmp_path, ALL)
    assert len(folder) == 10
    for number in (9, 0, 5, 4, 6):
        expected, sample = little_sample(number, audio=True), folder[number]
        assert sample.key == expected.key
        assert sample.facts == expected.facts
        assert sample.captions == [f"piece {number}", f"long {number}", f"short {number}"]
        assert sample.embedding is not None
        assert sample.latents is not None
        np.testing.assert_array_equal(sample.embedding, expected.embedding)
        np.testing.assert_array_equal(sample.latents, expected.latents)
        assert sample.latents.dtype == np.float16
        assert sample.audio == expected.audio
    assert folder.index.licences == ("CC-BY-4.0", "CC0-1.0")
    assert folder.index.fields == ("audio", "caption", "embedding", "latents")


def test_only_what_is_wanted_is_read(tmp_path: Path) -> None:
    little_folder(tmp_path, audio=True)
    sample = ShardFolder(tmp_path, ["embedding"])[3]
    assert sample.embedding is not None
    assert sample.latents is None
    assert sample.audio is None


def test_other_software_reads_it_as_plain_webdataset(tmp_path: Path) -> None:
    keys = little_folder(tmp_path)
    urls = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    found = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in found] == keys
    np.testing.assert_array_equal(found[7]["latents.npy"], little_sample(7).latents)
    streamed = [raw for shard in read_index(tmp_path).shards for raw in read_samples(tmp_path / shard.name, shard)]
    assert [from_members(raw.key, raw.members).key for raw in streamed] == keys


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        little_folder(tmp_path / name, audio=True)
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == [*sorted(f"0000{n}.{kind}" for n in range(3) for kind in ("tar", "members.json")), "index.json"]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    with tarfile.open(tmp_path / "a" / "00000.tar") as tar:
        for member in tar:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")


def test_the_order_of_facts_leaves_no_trace() -> None:
    facts = {"seconds": 3.0, "captions": {"main": "a", "alt": "b"}, "tempo": 90}
    turned = {"tempo": 90, "captions": {"alt": "b", "main": "a"}, "seconds": 3.0}
    assert to_members(Sample("a", facts)) == to_members(Sample("a", turned))


def test_shards_are_full_but_the_last(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, {}, samples_per_shard=4) as writer:
        for number in range(10):
            writer.write(little_sample(number))
    assert [shard.samples for shard in read_index(tmp_path).shards] == [4, 4, 2]


def test_a_writer_that_is_cut_off_leaves_a_folder_that_reads(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), ShardWriter(tmp_path, MADE_BY, samples_per_shard=4) as writer:
        for number in range(10):
            writer.write(little_sample(number))
        raise KeyboardInterrupt
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * 3 + [".tar"] * 2
    assert len(ShardFolder(tmp_path)) == 8
    with pytest.raises(ValueError, match="expected a folder without index"):
        ShardWriter(tmp_path, MADE_BY)
    with pytest.raises(ValueError, match=r"cannot append.*embedding.revision is '1', not '2'"):
        ShardWriter(tmp_path, {"embedding": {"class_path": "little", "revision": "2"}}, append=True)
    with ShardWriter(tmp_path, MADE_BY, samples_per_shard=4, append=True) as writer:
        assert writer.keys == {little_sample(number).key for number in range(8)}
        for number in range(8, 10):
            writer.write(little_sample(number))
    assert [ShardFolder(tmp_path)[number].key for number in range(10)] == [little_sample(n).key for n in range(10)]


def test_two_writers_do_not_meet_in_a_folder(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, MADE_BY) as writer:
        for part, append in (("", False), ("", True), ("rank0", False)):
            with pytest.raises(ValueError, match="another process is writing into this folder"):
                ShardWriter(tmp_path, MADE_BY, part=part, append=append)
        writer.write(little_sample(0))
    first, second = (ShardWriter(tmp_path / "parts", MADE_BY, part=f"rank{rank}") for rank in range(2))
    with pytest.raises(ValueError, match="another process is writing into this folder"):
        ShardWriter(tmp_path / "parts", MADE_BY)
    for number, writer in enumerate((first, second)):
        writer.write(little_sample(number))
        writer.close()
    assert len(ShardFolder(tmp_path / "parts")) == 2
    for _ in range(2):  # who is refused, or drops, holds nothing
        with pytest.raises(ValueError, match=r"expected a folder without index.json"):
            ShardWriter(tmp_path, MADE_BY)
    with ShardWriter(tmp_path, MADE_BY, append=True) as writer:
        writer.write(little_sample(1))


def test_what_a_killed_writer_left_is_cleared_away(tmp_path: Path) -> None:
    little_folder(tmp_path, counts=(2,))
    left = [tmp_path / name for name in (".00001.tar.123.part", ".index.json.123.part", ".rank1-00001.tar.9.part")]
    for path in left:
        path.write_bytes(b"half")
    ShardWriter(tmp_path, MADE_BY, part="rank1").close()
    assert [path.exists() for path in left] == [True, True, False]
    (tmp_path / "index-rank1.json").unlink()
    with ShardWriter(tmp_path, MADE_BY, append=True) as writer:
        writer.write(little_sample(2))
    assert not list(tmp_path.glob(".*"))


def test_processes_write_parts_of_one_folder(tmp_path: Path) -> None:
    for rank in range(2):
        with ShardWriter(tmp_path, MADE_BY, 2, part=f"rank{rank}") as writer:
            for number in range(rank, 7, 2):
                writer.write(little_sample(number))
    folder = ShardFolder(tmp_path)
    assert sorted(folder[position].key for position in range(7)) == [little_sample(number).key for number in range(7)]
    with ShardWriter(tmp_path, {"embedding": "another"}, part="rank2") as writer:
        writer.write(little_sample(9))
    with pytest.raises(ValueError, match=r"index-rank0.json and index-rank2.json were made by different things"):
        read_index(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0 and not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("musegen.data.open_shard.os.fsync", full)
    writer = ShardWriter(tmp_path, {})
    writer.write(little_sample(0))
    with pytest.raises(OSError, match=r"cannot write: No space left on device.*00000.tar"):
        writer.flush()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (Sample("a.b"), r"sample 'a.b': expected a key of letters"),
        (Sample("../a"), "expected a key of letters"),
        (Sample("__a"), "expected a key of letters"),
        (Sample("a", {"captions": [""]}), "sample 'a': expected captions that are texts"),
        (Sample("a", {"number": float("nan")}), "sample 'a': .*not JSON compliant"),
        (Sample("a", {"thing": object()}), "sample 'a': .*not JSON serializable"),
        (Sample("a", {"seconds": -1}), "expected seconds above 0, got -1"),
        (Sample("a", {}, np.ones(DIM := 8)), "expected an embedding of unit vectors, got lengths 2.828"),
        (Sample("a", {}, np.full(DIM, np.nan)), "expected an embedding of unit vectors, got lengths nan"),
        (Sample("a", {}, unit(0, 2)), "expected 'windows', the times of 2 embedding rows"),
        (Sample("a", {"windows": [[0, 1]]}, unit(0, 2)), r"expected windows as 2 pairs"),
        (Sample("a", {}, None, np.zeros((4, 3))), "expected 'seconds' among the facts of latents"),
        (Sample("a", {"seconds": 1, "latent_rate": 3}, None, np.full((4, 3), 1e6)), "finite in float16"),
        (Sample("a", {"seconds": 1, "latent_rate": 3}, None, np.zeros(3)), r"expected latents \[channels, frames\]"),
        (Sample("a", {}, None, None, b"RIFF"), "expected audio as a FLAC file"),
    ],
    ids=range(15),
)
def test_what_no_reader_could_use_is_not_written(tmp_path: Path, sample: Sample, message: str) -> None:
    with pytest.raises(ValueError, match=message), ShardWriter(tmp_path, {}) as writer:
        writer.write(sample)


def test_keys_are_unique(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, {})
    writer.write(little_sample(1))
    with pytest.raises(ValueError, match="expected unique keys, got 'piece-001' again"):
        writer.write(little_sample(1))


# --- damage


def overwrite(path: Path, what: bytes, by: bytes) -> None:
    content = path.read_bytes()
    assert content.count(what) >= 1
    path.write_bytes(content.replace(what, by, 1))


def test_overwritten_bytes_are_found_and_the_shard_is_named(tmp_path: Path) -> None:
    little_folder(tmp_path)
    shard = tmp_path / "00002.tar"
    latents = to_members(little_sample(8))["latents.npy"][-40:]
    overwrite(shard, latents, b"\x01" * len(latents))
    folder = ShardFolder(tmp_path, ["embedding", "latents"])
    assert folder[7].latents is not None
    with pytest.raises(DamagedShardError, match=r"00002.tar: damaged: piece-008.latents.npy is not what was written"):
        folder[8]
    assert ShardFolder(tmp_path, ["embedding"])[8].embedding is not None  # what is not read does no harm
    with pytest.raises(DamagedShardError, match=r"00002.tar: expected SHA-256"):
        list(read_samples(shard, read_index(tmp_path).shards[2]))


def test_a_missing_or_short_shard_is_found_at_once(tmp_path: Path) -> None:
    little_folder(tmp_path)
    shard = tmp_path / "00001.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:-700])
    with pytest.raises(DamagedShardError, match=rf"00001.tar: expected {len(content)} bytes as its index says, got"):
        ShardFolder(tmp_path)
    shard.unlink()
    with pytest.raises(DamagedShardError, match=r"00001.tar: expected a shard of 1 samples: No such file"):
        ShardFolder(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"keys": ["a"], "members": {}}', b'{"keys": 3, "members": [1]}'])
def test_a_damaged_table_is_found(tmp_path: Path, content: bytes) -> None:
    little_folder(tmp_path)
    (tmp_path / "00000.members.json").write_bytes(content)
    with pytest.raises(DamagedShardError, match=r"^\S+00000.members.json: expected .*5 samples"):
        ShardFolder(tmp_path)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.update(format="other"), "expected musegen-shards 1, got other 1"),
        (lambda index: index.pop("shards"), "no 'shards'"),
        (lambda index: index["shards"][0].update(name="pipe:touch hacked"), "expected a shard's name such as"),
        (lambda index: index["shards"][0].update(name="../00000.tar"), "expected a shard's name such as"),
        (lambda index: index["shards"][0].update(sha256="../hacked"), "expected the SHA-256 of 00000.tar, 64 hex"),
        (lambda index: index["shards"][0].update(samples="many"), "invalid literal"),
    ],
    ids=["format", "no shards", "pipe", "path", "checksum", "number"],
)
def test_a_hostile_or_damaged_index_is_refused(tmp_path: Path, change: object, message: str) -> None:
    little_folder(tmp_path)
    path = tmp_path / "index.json"
    index = json.loads(path.read_text())
    change(index)  # type: ignore[operator]
    path.write_text(json.dumps(index))
    with pytest.raises(ValueError, match=rf"index.json: expected an index of shards: .*{message}"):
        ShardFolder(tmp_path)


def test_folders_without_shards(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a folder of shards, got none"):
        ShardFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"expected index.json beside the shards, got none"):
        ShardFolder(tmp_path)


class Hostile:
    def __reduce__(self) -> tuple:
        return (os.mkdir, (HACKED,))


HACKED = "hacked_by_an_array"


def test_arrays_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    array = np.empty(1, dtype=object)
    array[0] = Hostile()
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    for content in (buffer.getvalue(), pickle.dumps(Hostile())):
        with pytest.raises(ValueError, match=r"sample 'a': a.latents.npy cannot be decoded"):
            from_members("a", {"json": b"{}", "latents.npy": content})
    assert not Path(HACKED).exists()


def test_shards_of_another_encoder_are_refused(tmp_path: Path) -> None:
    little_folder(tmp_path)
    index = read_index(tmp_path)
    check_made_by(tmp_path, index, None)
    check_made_by(tmp_path, index, {"embedding": {"revision": "1"}})
    for requires, message in (
        ({"embedding": {"revision": "2"}}, "embedding.revision is '1', not '2'"),
        ({"latents": {"revision": "2"}}, "latents is missing, not {'revision': '2'}"),
    ):
        with pytest.raises(ValueError, match=f"made by something else than `requires`: {message}"):
            check_made_by(tmp_path, index, requires)


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    with ShardWriter(tmp_path, {}) as writer:
        writer.write(Sample("bare", {"captions": ["b"]}, unit(0, 1)))
        writer.flush()
        writer.write(little_sample(0))
    with pytest.raises(ValueError, match="expected shards with audio, latents, got shards with caption, embedding"):
        ShardFolder(tmp_path, ALL)


def test_it_warns_of_nothing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        little_folder(tmp_path)
        assert ShardFolder(tmp_path, ALL[:3])[0].key == "piece-000"
    assert flac(0.1)[:4] == b"fLaC"
