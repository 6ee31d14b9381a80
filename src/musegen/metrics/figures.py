"""What a judge says: a figure with its interval, beside what it says of real music and of chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

LEVEL = 0.95
"""Share of repetitions that an interval should cover."""

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Estimate:
    """A number and the interval that it is known to.

    Args:
        value: the number.
        low: lower end of the 95 % interval; NaN where unknown.
        high: upper end.
        count: clips that it is computed from.
    """

    value: float
    low: float = float("nan")
    high: float = float("nan")
    count: int = 0

    def __str__(self) -> str:
        number = f"{self.value:.3g}" if abs(self.value) >= 10 else f"{self.value:.2f}"
        if not math.isfinite(self.low) or not math.isfinite(self.high):
            return number
        ends = (f"{end:.3g}" if abs(self.value) >= 10 else f"{end:.2f}" for end in (self.low, self.high))
        return f"{number} [{', '.join(ends)}]"


@dataclass(frozen=True)
class Figure:
    """One line of a report.

    Args:
        metric: the file that it comes from.
        name: what is measured.
        ours: of the music that is judged; None where nothing could be.
        ceiling: the same of real music, by the same judge: nothing can be expected to lie above it.
        chance: the same of our music with captions that belong to other clips, or of noise.
        better: which way is good.
        note: how to read it, in a few words.
    """

    metric: str
    name: str
    ours: Estimate | None
    ceiling: Estimate | None = None
    chance: Estimate | None = None
    better: Better = "higher"
    note: str = ""

    @property
    def of_ceiling(self) -> float | None:
        """Our share of the ceiling; None without one, or where higher is not better."""
        if self.ours is None or self.ceiling is None or self.better != "higher" or not self.ceiling.value:
            return None
        return self.ours.value / self.ceiling.value

    def as_json(self) -> dict[str, Any]:
        """Plain data, without what is not known; JSON has no NaN."""

        def known(data: dict[str, Any]) -> dict[str, Any]:
            kept = {name: known(value) if isinstance(value, dict) else value for name, value in data.items()}
            return {
                name: (None if isinstance(value, float) and not math.isfinite(value) else value)
                for name, value in kept.items()
                if value is not None and not (isinstance(value, float) and math.isnan(value))
            }

        return known(asdict(self) | {"of_ceiling": self.of_ceiling})


def mean_of(scores: Sequence[float] | np.ndarray, groups: Sequence[Any] | None = None, draws: int = 1000) -> Estimate:
    """The mean of scores and its bootstrap interval.

    Clips of one caption are drawn together, because they are no independent evidence.

    Args:
        scores: one a clip; NaN for a clip that has none.
        groups: which caption each clip belongs to; by default each its own.
        draws: of the bootstrap.
    """
    values = np.asarray(scores, np.float64)
    known = np.flatnonzero(~np.isnan(values))
    if not len(known):
        return Estimate(float("nan"))
    names = list(range(len(values))) if groups is None else list(groups)
    sums: dict[Any, list[float]] = {}
    for index in known:
        total = sums.setdefault(names[index], [0.0, 0.0])
        total[0], total[1] = total[0] + values[index], total[1] + 1
    table = np.array(list(sums.values()))
    means = table[resamples(len(table), draws)].sum(1)
    return Estimate(float(values[known].mean()), *interval(means[:, 0] / means[:, 1], len(table)), len(known))


def statistic_of(statistic: Callable[[np.ndarray], float], groups: Sequence[Any], draws: int = 200) -> Estimate:
    """A statistic of clips and its bootstrap interval, drawing whole captions.

    Args:
        statistic: of clips, by their indices, which may be repeated; may give NaN where it cannot be computed.
        groups: which caption each clip belongs to.
        draws: of the bootstrap.
    """
    members: dict[Any, list[int]] = {}
    for index, name in enumerate(groups):
        members.setdefault(name, []).append(index)
    value = statistic(np.arange(len(groups)))
    parts = [np.array(part) for part in members.values()]
    drawn = [statistic(np.concatenate([parts[one] for one in row])) for row in resamples(len(parts), draws)]
    drawn_known = np.array([one for one in drawn if not math.isnan(one)])
    if math.isnan(value) or not len(drawn_known):
        return Estimate(value, count=len(groups))
    return Estimate(value, *interval(drawn_known, len(parts)), len(groups))


def resamples(count: int, draws: int) -> np.ndarray:
    """Indices ``[draws, count]`` with replacement, the same in every run."""
    return np.random.Generator(np.random.Philox(count)).integers(0, count, (draws, count))


def interval(drawn: np.ndarray, count: int) -> tuple[float, float]:
    """The middle 95 % of bootstrap draws; NaN where there were fewer than two things to draw from."""
    if count < 2 or not len(drawn):
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
