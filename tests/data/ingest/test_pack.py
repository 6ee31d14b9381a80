"""Packing: the same shards whatever happens on the way, no group in two splits, nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from little_source import Little
from musegen.data.ingest.pack import Packing, pack
from musegen.data.ingest.problems import Skip, UnusableError
from musegen.data.ingest.splits import SplitRule
from musegen.data.random_access import ShardFolder
from musegen.data.shard_index import read_index
from musegen.data.verify import verify_folder

RULE = SplitRule(0.3, 0.2)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "report.json"
    }


def packing(**how: int) -> Packing:
    return Packing(RULE, samples_per_shard=3, **how)


def test_what_is_packed_is_whole_and_split_by_group(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = pack(Little(), tmp_path, packing(), lambda done, total: seen.append((done, total)))
    assert seen == [(number, 30) for number in range(1, 31)]
    assert {kind: [skip.name for skip in skips] for kind, skips in report.kinds().items()} == {
        "out of tune": [f"number {number}" for number in (6, 13, 20, 27)],
        "audio is there already, under another name": ["number 10"],
        "nothing came of it": ["number 12", "number 25"],
        "cannot be stored": ["number 8"],
    }
    assert report.total + len(report.skipped) == 30
    groups: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        assert verify_folder(tmp_path / split).problems == []
        folder = ShardFolder(tmp_path / split, ["audio"])
        assert len(folder) == report.kept[split] > 0
        for place in range(len(folder)):
            groups.setdefault(folder[place].facts["group"], set()).add(split)
        made_by = read_index(tmp_path / split).made_by
        assert made_by["split"] == {"val": 0.3, "test": 0.2, "seed": 0}
    assert all(len(splits) == 1 for splits in groups.values())
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["kept"] == report.kept
    assert written["skipped"]["out of tune"][1] == {"name": "number 13", "detail": "by 13 cents"}


def test_processes_change_nothing(tmp_path: Path) -> None:
    one, two = (pack(Little(), tmp_path / str(count), packing(processes=count)) for count in (1, 2))
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    assert str(one) == str(two)


@pytest.mark.parametrize("named", [True, False])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path, named: bool) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    pack(Little(named=named), whole, packing())

    def stop_at(place: int) -> Callable[[int, int], None]:
        def stop(done: int, total: int) -> None:
            if done == place:
                raise KeyboardInterrupt

        return stop

    for place in (11, 8):
        with pytest.raises(KeyboardInterrupt):
            pack(Little(named=named), broken, packing(), stop_at(place))
    totals: set[int] = set()
    report = pack(Little(named=named), broken, packing(), lambda done, total: totals.add(total))
    assert digests(broken) == digests(whole)
    assert report.there > 0
    assert totals == {30 - report.there if named else 30}  # what is known to be there is not read again
    again = pack(Little(named=named), broken, packing())
    assert again.total == 0
    assert digests(broken) == digests(whole)


def test_one_split_at_a_time(tmp_path: Path) -> None:
    pack(Little(), tmp_path / "all", packing())
    for split in ("train", "val", "test"):
        pack(Little(), tmp_path / "each", Packing(RULE, [split], 3))
    assert digests(tmp_path / "all") == digests(tmp_path / "each")


def test_a_process_that_dies_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"killed; it was reading one of .*number 4"):
        pack(Little(dies=4), tmp_path, packing(processes=2))


def test_another_recipe_does_not_append(tmp_path: Path) -> None:
    pack(Little(), tmp_path, packing())
    with pytest.raises(ValueError, match=r"made otherwise: source.init_args.pieces is 30, not 31"):
        pack(Little(31), tmp_path, packing())
    with pytest.raises(ValueError, match=r"split.seed is 0, not 5"):
        pack(Little(), tmp_path, Packing(SplitRule(0.3, 0.2, 5)))


def test_problems_cross_processes() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(UnusableError("too loud", "by 3 dB")))
    assert (error.kind, error.detail, str(error)) == ("too loud", "by 3 dB", "too loud: by 3 dB")
    assert str(Skip("a.wav", "silent")) == "a.wav: silent"
