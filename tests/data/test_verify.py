"""Verifying a folder finds what is wrong with it, and nothing where nothing is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from little_cache import encoder, songs
from little_shards import MADE_BY, little_folder, little_sample, unit
from musegen.data import shard_writer
from musegen.data.cache import Cache
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample, to_members
from musegen.data.shard_index import read_index
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder


def test_nothing_is_wrong(tmp_path: Path) -> None:
    little_folder(tmp_path, audio=True)
    steps: list[tuple[int, int]] = []
    report = verify_folder(tmp_path, lambda done, total: steps.append((done, total)))
    assert report.problems == []
    assert report.samples == 10
    assert report.seconds == sum(4.0 + number % 5 for number in range(10))
    assert dict(report.licences) == {"licence CC-BY-4.0": 5, "licence CC0-1.0": 5}
    assert dict(report.shapes) == {"embedding [windows, 8]": 10, "latents [4, frames]": 10, "caption": 10, "audio": 10}
    assert steps == [(1, 3), (2, 3), (3, 3)]
    assert str(report).endswith("nothing is wrong")


def test_damage_is_found_shard_by_shard(tmp_path: Path) -> None:
    little_folder(tmp_path)
    (tmp_path / "00001.tar").unlink()
    damaged = tmp_path / "00002.tar"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    (tmp_path / "stray.tar").write_bytes(b"")
    first, second, where, third = verify_folder(tmp_path).problems
    assert first.startswith("00001.tar: expected a shard of 1 samples")
    assert second.startswith("00002.tar: expected SHA-256")
    assert where == "00002.tar: the damage is outside of all samples"
    assert third == "stray.tar: is not in the index"


def test_flipped_bytes_are_named(tmp_path: Path) -> None:
    little_folder(tmp_path)
    tar = tmp_path / "00002.tar"
    whole = tar.read_bytes()
    table = ShardFolder(tmp_path).shards[2].table
    for number, suffix in ((0, "json"), (1, "latents.npy"), (3, "embedding.npy")):
        begin, size, _ = table.places(number)[suffix]
        for byte in (begin, begin + size // 2, begin + size - 1):
            content = bytearray(whole)
            content[byte] ^= 1
            tar.write_bytes(content)
            first, second = verify_folder(tmp_path).problems
            assert first.startswith("00002.tar: expected SHA-256")
            assert second == f"00002.tar: damaged or cut off: {table.keys[number]}.{suffix}"


def test_truncated_tars_are_named(tmp_path: Path) -> None:
    little_folder(tmp_path)
    tar = tmp_path / "00000.tar"
    begin, size, _ = ShardFolder(tmp_path).shards[0].table.places(3)["latents.npy"]
    tar.write_bytes(tar.read_bytes()[: begin + size - 1])
    first, second = verify_folder(tmp_path).problems
    assert first.startswith(f"00000.tar: expected 20480 bytes as its index says, got {begin + size - 1}")
    lost = ["piece-003.latents.npy", "piece-004.embedding.npy", "piece-004.json", "piece-004.latents.npy"]
    assert second == f"00000.tar: damaged or cut off: {', '.join(lost)}"


def test_an_index_that_says_something_else_is_found(tmp_path: Path) -> None:
    little_folder(tmp_path)
    path = tmp_path / "index.json"
    index = json.loads(path.read_text())
    index |= {"samples": 11, "made_by_sha256": "0", "licences": ["MIT"], "fields": ["audio"]}
    path.write_text(json.dumps(index))
    samples, made_by, licences, fields = verify_folder(tmp_path).problems
    assert samples == "index.json: its samples is 11, not 10"
    assert made_by.startswith("index.json: its made_by_sha256 is '0', not '")
    assert licences == "index.json: its licences are ['MIT'], those of its samples ['CC-BY-4.0', 'CC0-1.0']"
    assert fields.endswith("are ['audio'], all of its samples have ['caption', 'embedding', 'latents']")


def test_text_states_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musegen.data.sample._checked_text", lambda sample: sample.text)
    facts = {"captions": ["one", "two"]}
    with ShardWriter(tmp_path, MADE_BY) as writer:
        writer.write(Sample("a", facts, text=[np.zeros((2, 3), np.float16), np.full((1, 3), np.nan, np.float16)]))
        writer.write(Sample("b", facts, text=[np.zeros((2, 3), np.float16)]))
    report = verify_folder(tmp_path)
    assert report.problems == [
        "00000.tar: a: its text states 1 hold NaN or infinity",
        "00000.tar: b: it has text states of 1 captions, but 2 captions",
    ]
    assert report.shapes["text [tokens, 3]"] == 2


def test_a_cache_that_is_unfinished_is_said(tmp_path: Path) -> None:
    with Cache(songs(tmp_path / "songs", 3), tmp_path / "out", encoder(), 1) as cache:
        list(cache.encode(cache.begin()[0]))
    assert verify_folder(tmp_path / "out").problems == ["it is unfinished: start the same musegen cache again"]
    with pytest.raises(ValueError, match="expected whole shards, got unfinished ones: start the same cache again"):
        read_index(tmp_path / "out")
    (tmp_path / "music").mkdir()
    with pytest.raises(ValueError, match=r"expected index\.json beside the shards, got none .musegen pack makes"):
        read_index(tmp_path / "music")


def test_a_table_that_lies_is_found(tmp_path: Path) -> None:
    little_folder(tmp_path)
    path = tmp_path / "00000.members.json"
    table = json.loads(path.read_text())
    table["members"]["json"][2][1] += 1
    path.write_text(json.dumps(table))
    assert verify_folder(tmp_path).problems == ["00000.members.json: what it lists is not what is in 00000.tar"]


@pytest.mark.parametrize(
    ("sample", "problem"),
    [
        (Sample("bad", {}, 1.5 * unit(0, 1)), "its embedding has vectors of length 1.5 to 1.5, not 1"),
        (Sample("bad", {}, unit(0, 3)), "its embedding has 3 rows, its facts 0 windows"),
        (
            Sample("bad", {"seconds": 1, "latent_rate": 10}, None, np.full((4, 10), np.nan)),
            "its latents hold NaN or infinity",
        ),
        (
            Sample("bad", {"seconds": 2, "latent_rate": 10}, None, np.zeros((4, 10))),
            "it has 10 frames, but 2 s make 20.0",
        ),
        (Sample("bad", {}, None, np.zeros((4, 10))), "its facts lack seconds or latent_rate"),
        (Sample("bad", {}, None, None, b"fLaC nonsense"), "its audio cannot be decoded"),
    ],
    ids=["length", "windows", "nan", "frames", "facts", "audio"],
)
def test_samples_that_would_harm_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: Sample, problem: str
) -> None:
    """Our own writer refuses most of these; other software need not."""

    def unchecked(sample: Sample) -> dict[str, bytes]:
        with monkeypatch.context() as patch:
            patch.setattr("musegen.data.sample._check_facts", lambda sample: None)
            patch.setattr("musegen.data.sample._checked_embedding", lambda sample: sample.embedding)
            patch.setattr("musegen.data.sample._checked_latents", lambda sample: sample.latents.astype(np.float16))
            return to_members(sample)

    monkeypatch.setattr(shard_writer, "to_members", unchecked)
    with ShardWriter(tmp_path, MADE_BY) as writer:
        writer.write(little_sample(0))
        writer.write(sample)
    (found,) = verify_folder(tmp_path).problems
    assert found.startswith(f"00000.tar: bad: {problem}")


def test_keys_in_two_parts(tmp_path: Path) -> None:
    for part in ("a", "b"):
        with ShardWriter(tmp_path, MADE_BY, part=part) as writer:
            writer.write(little_sample(1))
    assert verify_folder(tmp_path).problems == ["b-00000.tar: piece-001 is in a-00000.tar too"]
