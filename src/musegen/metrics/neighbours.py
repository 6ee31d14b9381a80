"""How near a clip is to what the model has learned from: whether it was copied."""

from __future__ import annotations

import numpy as np

from musegen.metrics.base import MusicSet, Sets
from musegen.metrics.figures import Estimate, Figure, mean_of
from musegen.metrics.vectors import VectorMetric, unit

BLOCK = 4096
NEAR = 0.01
"""Quantile of real music's distances under which a clip counts as suspiciously near."""


class NearestTraining(VectorMetric):
    """Mean cosine distance of a clip's windows to the nearest window of the training music.

    The ceiling is the same for real music that was not learned from: a model that copies lies well below. The second
    figure is the share of clips that are nearer than all but one in a hundred of the real ones.
    """

    def measure(self, sets: Sets) -> list[Figure]:
        """Two figures; none without training music."""
        name = f"nearest training music ({self.embedder.title})"
        if sets.training is None:
            return [Figure("neighbours", name, None, better="neither", note="needs --train")]
        learned = self._all(sets.training, sets.training)[0]
        ours = nearest(*self._all(sets.ours, sets.training), learned)
        figures = [Figure("neighbours", name, mean_of(ours, sets.ours.groups), better="neither", note="distance")]
        if sets.real is not None and sets.real.name != sets.training.name:
            real = nearest(*self._all(sets.real, sets.training), learned)
            limit = float(np.quantile(real, NEAR))
            near = mean_of((ours < limit).astype(float), sets.ours.groups)
            own = mean_of(ours, sets.ours.groups)
            note = "distance; ceiling: real music that was not learned from"
            figures = [
                Figure("neighbours", name, own, mean_of(real), None, "neither", note),
                Figure("neighbours", "copies", near, Estimate(NEAR), None, "lower", f"share nearer than {limit:.3f}"),
            ]
        return figures

    def _all(self, clips: MusicSet, real: MusicSet) -> tuple[np.ndarray, list[int]]:
        """Unit vectors of all windows, and how many each clip has."""
        centre, spread = self.scale(real)
        windows = self.windows(clips)
        vectors = unit((np.concatenate(windows) - centre) / spread).astype(np.float32)
        return vectors, [len(one) for one in windows]


def nearest(windows: np.ndarray, counts: list[int], learned: np.ndarray) -> np.ndarray:
    """For each clip the mean over its windows of the cosine distance to the nearest of others, ``[clips]``."""
    best = np.full(len(windows), -1.0, np.float32)
    for start in range(0, len(learned), BLOCK):
        best = np.maximum(best, (windows @ learned[start : start + BLOCK].T).max(1))
    ends = np.cumsum(counts)
    return np.array([1 - best[end - count : end].mean() for end, count in zip(ends, counts, strict=True)], np.float64)
