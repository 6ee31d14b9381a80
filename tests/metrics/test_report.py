"""Tables of several folders."""

from __future__ import annotations

from musegen.metrics.base import MusicSet, Sets
from musegen.metrics.evaluation import Evaluation
from musegen.metrics.figures import Estimate, Figure
from musegen.metrics.listening import Account
from musegen.metrics.report import rows_of, side_by_side


def test_folders_of_which_one_lacks_a_figure_stand_side_by_side() -> None:
    one, other = Figure("tempo", "tempo", Estimate(0.5, count=2), Estimate(1.0)), Figure("key", "key", Estimate(0.25))
    empty = Sets(MusicSet("clips", [], {}))
    found = [Evaluation("a", [one, other], empty, None, Account()), Evaluation("b", [other], empty, None, Account())]
    assert [[figure.ours for figure in row] for row in side_by_side(found)] == [
        [one.ours, None], [other.ours, other.ours]
    ]  # fmt: skip
    assert rows_of(found)[1][0][:5] == ["tempo", "1.00", "-", "0.50", "-"]
