"""Whether a clip is as fast as its caption says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import Judge, MusicSet
from musegen.metrics.hearing.base import Feature
from musegen.metrics.hearing.tempo import Tempo
from musegen.metrics.wanted import Wanted

FACTORS = (1.0, 2.0, 0.5, 3.0, 1 / 3)


class TempoAgreement(Judge):
    """Share of clips whose tempo is heard within a tolerance of what the caption says.

    Counted twice: at the very level of the beat, and at any level of it (also double, half, triple or a third), where a
    judge that taps along on another level is forgiven. "An experimental comparison of audio tempo induction
    algorithms", 2006, https://doi.org/10.1109/TSA.2005.858509, calls them accuracy 1 and 2.

    Args:
        tolerance: relative.
    """

    def __init__(self, tolerance: float = 0.04) -> None:
        super().__init__()
        if not 0 < tolerance < 0.2:
            raise ValueError(f"tolerance: expected a number between 0 and 0.2, got {tolerance}")
        self.tolerance = tolerance
        self.heard = Tempo()
        percent = f"±{100 * tolerance:g} %"
        self.names = {
            f"tempo {percent}": "the beat itself",
            f"tempo {percent}, any level": "also double, half, triple or a third",
        }

    def features(self) -> list[Feature]:
        """The tempo."""
        return [self.heard]

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """1 where the tempo is as wanted, 0 where not: also where none is heard."""
        tempi = clips.values(self.heard, "tempo")
        asked = np.array([one.tempo if one.tempo is not None else np.nan for one in wanted])
        ratio = np.nan_to_num(tempi / asked, nan=0.0)
        right = [np.abs(ratio * factor - 1) <= self.tolerance for factor in FACTORS]
        exact, any_level = (np.where(np.isnan(asked), np.nan, hit) for hit in (right[0], np.any(right, 0)))
        return dict(zip(self.names, (exact, any_level), strict=True))
