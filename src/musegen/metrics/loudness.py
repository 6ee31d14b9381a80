"""How loud clips are."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.figures import Better
from musegen.metrics.quality import LevelMetric


class Loudness(LevelMetric):
    """Integrated loudness of ITU-R BS.1770-4 in LUFS, of the clips that have any: mean, and spread between clips."""

    names: Mapping[str, str] = {
        "loudness, LUFS": "integrated, of clips that are not silent",
        "loudness, distance": "LU from the mean of the set",
    }
    better: Better = "neither"

    def numbers(self, clips: MusicSet) -> Mapping[str, np.ndarray]:
        """LUFS, and distances from the set's mean; NaN for clips that are silent or shorter than 0.4 s."""
        loudness = clips.values(self.level, "loudness").astype(np.float64)
        loudness = np.where(np.isfinite(loudness), loudness, np.nan)
        middle = np.nanmean(loudness) if np.isfinite(loudness).any() else np.nan
        return dict(zip(self.names, (loudness, np.abs(loudness - middle)), strict=True))
