"""How much of the music is silent."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.quality import LevelMetric

MOSTLY = 0.5


class Silence(LevelMetric):
    """Share of clips that are silent for more than half of their length, and of frames that are silent."""

    names: Mapping[str, str] = {
        "silent": "share of clips silent for over half",
        "silent frames": "share of 50 ms frames",
    }

    def numbers(self, clips: MusicSet) -> Mapping[str, np.ndarray]:
        """1 for a clip that is mostly silent, else 0; and its share of silent frames."""
        share = clips.values(self.level, "silent")
        return {"silent": (share > MOSTLY).astype(np.float64), "silent frames": share}
