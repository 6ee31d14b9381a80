"""How much of the music is clipped."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.quality import LevelMetric

AUDIBLE = 1e-4


class Clipping(LevelMetric):
    """Share of clips of which more than one sample in ten thousand lies in a run at full scale."""

    names: Mapping[str, str] = {"clipped": "share of clips"}

    def numbers(self, clips: MusicSet) -> Mapping[str, np.ndarray]:
        """1 for a clip that is clipped, else 0."""
        return {"clipped": (clips.values(self.level, "clipped") > AUDIBLE).astype(np.float64)}
