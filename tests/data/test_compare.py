"""Two folders side by side: how far apart the same samples are, and what two splits share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from little_shards import MADE_BY, little_folder, little_sample
from musegen.cli import main
from musegen.data.compare import compare_folders, leaks
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

Change = Callable[[Sample], Sample]


def folder(path: Path, numbers: range, change: Change = lambda sample: sample, size: int = 3) -> Path:
    with ShardWriter(path, MADE_BY, size) as writer:
        for number in numbers:
            writer.write(change(little_sample(number, audio=True)))
    return path


def shifted(sample: Sample) -> Sample:
    """Another machine's: the last digits of latents and embedding differ, in every second sample."""
    assert sample.latents is not None
    assert sample.embedding is not None
    if int(sample.key[-3:]) % 2:
        return sample
    embedding = sample.embedding.copy()
    embedding[0, 0] += 1e-5
    return replace(sample, latents=sample.latents + 0.25, embedding=embedding)


def test_the_same_samples_in_other_shards_are_the_same(tmp_path: Path) -> None:
    result = compare_folders(folder(tmp_path / "a", range(7)), folder(tmp_path / "b", range(6, -1, -1), size=5))
    assert result.agrees()
    assert (result.same, result.missing, result.extra, result.largest) == (7, [], [], {})


def test_largest_differences_and_missing_samples(tmp_path: Path) -> None:
    result = compare_folders(folder(tmp_path / "a", range(1, 8), shifted), folder(tmp_path / "b", range(7)))
    assert (result.missing, result.extra) == (["piece-000"], ["piece-007"])
    assert result.same == 3
    assert result.differing == {"latents": 3, "embedding": 3}
    assert result.largest["latents"] == 0.25
    assert result.largest["embedding"] == pytest.approx(1e-5, rel=1e-2)
    assert not result.agrees(1.0)
    said = str(result)
    assert "latents differs in 3 samples, by 0.25 at most" in said
    assert "1 samples are missing here: piece-000" in said
    alike = compare_folders(folder(tmp_path / "c", range(7), shifted), tmp_path / "b")
    assert [alike.agrees(tolerance) for tolerance in (0.0, 0.2, 0.25)] == [False, False, True]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda sample: replace(sample, facts={**sample.facts, "tempo": 99}), "facts"),
        (lambda sample: replace(sample, audio=sample.audio + b"\0"), "flac"),
        (lambda sample: replace(sample, latents=np.asarray(sample.latents)[:3]), "latents"),
        (lambda sample: replace(sample, embedding=None), "embedding"),
    ],
    ids=["facts", "audio", "shape", "lost"],
)
def test_what_no_number_tells_never_agrees(tmp_path: Path, change: Change, name: str) -> None:
    result = compare_folders(folder(tmp_path / "a", range(2), change), folder(tmp_path / "b", range(2)))
    assert result.differing == {name: 2}
    assert not result.agrees(1e9)
    assert f"{name} differs in 2 samples" in str(result)


def fresh(number: int, group: object = None, source: str = "corpus") -> Sample:
    own = np.full((4, 40), number + 100.0, np.float32)
    return replace(little_sample(number, seconds=4.0, windows=[[0.0, 4.0]], source=source, group=group), latents=own,
                   embedding=np.roll(np.eye(1, 8, dtype=np.float32), number % 8))  # fmt: skip


def write(path: Path, *samples: Sample) -> Path:
    with ShardWriter(path, MADE_BY) as writer:
        for sample in samples:
            writer.write(sample)
    return path


def test_splits_that_share_nothing(tmp_path: Path) -> None:
    one = write(tmp_path / "train", fresh(0, "a"), fresh(1, "a"), fresh(2))
    assert leaks([one, write(tmp_path / "val", fresh(3, "b"), fresh(4))]) == []
    other_corpus = replace(fresh(5, "a", source="other"), key="piece-000")
    assert leaks([one, write(tmp_path / "test", other_corpus)]) == []


def test_leaks_are_named(tmp_path: Path) -> None:
    one = write(tmp_path / "train", fresh(0, "a"), fresh(1, "a"), fresh(2))
    (group,) = leaks([one, write(tmp_path / "group", fresh(3, "b"), fresh(4, "a"))])
    assert group == f"group 'corpus: a' is in {one} (piece-000) and {tmp_path / 'group'} (piece-004)"
    (key,) = leaks([one, write(tmp_path / "key", replace(fresh(5), key="piece-002"))])
    assert key.startswith("key 'corpus: piece-002' is in ")
    (same,) = leaks([one, write(tmp_path / "same", replace(fresh(6), latents=fresh(2).latents))])
    assert same == f"the same latents is in {one} (piece-002) and {tmp_path / 'same'} (piece-006)"


def status(*arguments: object) -> int:
    try:
        main(["verify", *map(str, arguments)])
    except SystemExit as error:
        return int(str(error.code))
    return 0


def test_the_exit_status_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    little_folder(tmp_path / "a")
    assert status(tmp_path / "a") == 0
    assert "nothing is wrong" in capsys.readouterr().out
    folder(tmp_path / "b", range(10), shifted)
    folder(tmp_path / "c", range(10))
    assert status(tmp_path / "b", "--against", tmp_path / "c") == 1
    assert "latents differs in 5 samples, by 0.25 at most" in capsys.readouterr().out
    assert status(tmp_path / "b", "--against", tmp_path / "c", "--tolerance", 0.3) == 0
    assert status(tmp_path / "b", "--splits", tmp_path / "a", tmp_path / "c") == 1
    printed = capsys.readouterr().out
    assert "3 splits: " in printed
    assert f"key 'piece-000' is in {tmp_path / 'b'} (piece-000) and {tmp_path / 'a'} (piece-000) and " in printed
    write(tmp_path / "far", fresh(50))
    assert status(tmp_path / "a", "--splits", tmp_path / "far") == 0
    assert "2 splits: nothing leaks" in capsys.readouterr().out
    (tmp_path / "a" / "00001.tar").unlink()
    assert status(tmp_path / "a", "--splits", tmp_path / "far") == 1
    assert "wrong: 00001.tar: expected a shard of 1 samples" in capsys.readouterr().out
    assert status(tmp_path / "nowhere") == 2
    assert "expected a folder of shards, got none" in capsys.readouterr().err
    assert status(tmp_path / "a", "--splits", tmp_path / "a") == 2
