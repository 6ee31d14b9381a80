"""How different the samples of one prompt are: a model that answers with the mean has none."""

from __future__ import annotations

import numpy as np

from musegen.metrics.base import Sets
from musegen.metrics.figures import Figure, mean_of
from musegen.metrics.vectors import VectorMetric


class Diversity(VectorMetric):
    """Mean cosine distance between clips of one prompt.

    Beside it, for comparison: the distance between different real pieces, and between our clips of different prompts.
    """

    def measure(self, sets: Sets) -> list[Figure]:
        """One figure; none where no prompt has two clips."""
        name = f"diversity in a prompt ({self.embedder.title})"
        real = sets.real or sets.ours
        ours = self.directions(sets.ours, real)
        within = nearby(ours, sets.ours.groups)
        if np.isnan(within).all():
            return [Figure("diversity", name, None, better="neither", note="no prompt has two clips")]
        between = 1 - ours @ ours.T
        other = np.not_equal.outer(np.array(sets.ours.groups), np.array(sets.ours.groups))
        apart = [row[mask].mean() if mask.any() else np.nan for row, mask in zip(between, other, strict=True)]
        top = None
        if sets.real is not None and len(real) > 1:
            theirs = self.directions(real, real)
            top = mean_of((len(real) - (theirs @ theirs.T).sum(1)) / (len(real) - 1))
        note = "distance; ceiling: between real pieces, chance: between our prompts"
        groups = sets.ours.groups
        return [Figure("diversity", name, mean_of(within, groups), top, mean_of(apart, groups), "neither", note)]


def nearby(directions: np.ndarray, groups: list[str]) -> np.ndarray:
    """For each clip its mean cosine distance to the others of its group; NaN for a lone one."""
    distance = 1 - directions @ directions.T
    names = np.array(groups)
    result = np.full(len(names), np.nan)
    for clip in range(len(names)):
        same = names == names[clip]
        same[clip] = False
        if same.any():
            result[clip] = distance[clip, same].mean()
    return result
