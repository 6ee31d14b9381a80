"""Vectors of clips, scaled by real music: what the metrics that compare clips with clips share."""

from __future__ import annotations

import numpy as np

from musegen.metrics.base import Metric, MusicSet
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.hearing.base import Feature


class VectorMetric(Metric):
    """A metric of distances between clips: 0 between a clip and itself, about 1 between unrelated ones.

    Args:
        embedder: what describes a window.
    """

    def __init__(self, embedder: AudioEmbedder | None = None) -> None:
        super().__init__()
        self.embedder = embedder or MusicnnEmbedder("MSD")

    def features(self) -> list[Feature]:
        """The embeddings."""
        return [self.embedder]

    def windows(self, clips: MusicSet) -> list[np.ndarray]:
        """Vectors of each clip's windows, ``[n, dim]``."""
        return [np.asarray(heard["windows"], np.float64) for heard in clips.of(self.embedder)]

    def directions(self, clips: MusicSet, real: MusicSet) -> np.ndarray:
        """Unit vectors of clips ``[clips, dim]``: means over windows, standardised by those of real music."""
        centre, spread = self.scale(real)
        return unit((np.stack([one.mean(0) for one in self.windows(clips)]) - centre) / spread)

    def scale(self, real: MusicSet) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of real music's windows."""
        windows = np.concatenate(self.windows(real))
        return windows.mean(0), np.maximum(windows.std(0), 1e-6)


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of unit length."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
