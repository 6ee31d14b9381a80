"""Groups stay together, and stay where they are."""

from __future__ import annotations

from collections import Counter

import pytest

from musegen.data.ingest.splits import SplitRule


def test_shares_are_kept_and_a_group_stays_where_it_is() -> None:
    rule = SplitRule(val=0.1, test=0.2)
    counts = Counter(rule.of(f"artist {number}") for number in range(5000))
    assert counts["train"] / 5000 == pytest.approx(0.7, abs=0.03)
    assert counts["val"] / 5000 == pytest.approx(0.1, abs=0.02)
    assert {SplitRule(0, 0).of(str(number)) for number in range(100)} == {"train"}
    assert {SplitRule(1, 0).of(str(number)) for number in range(100)} == {"val"}
    moved = sum(
        SplitRule(0.1, 0.2, seed=1).of(f"artist {number}") != rule.of(f"artist {number}") for number in range(500)
    )
    assert 100 < moved < 350
    assert [rule.of(name) for name in "abcdefgh"] == ["val", "val", "train", "test", "val", "val", "test", "train"]


def test_impossible_shares_are_refused() -> None:
    for val, test in ((-0.1, 0), (0.6, 0.6), (0, 1.1)):
        with pytest.raises(ValueError, match="together at most 1"):
            SplitRule(val, test)
