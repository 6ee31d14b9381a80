"""Whether the instruments that a caption names are heard, by maps that were fitted on rendered music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.caption_tags import ordered
from musegen.metrics.fitted_tags import FittedTags
from musegen.metrics.wanted import Wanted


class FittedInstruments(FittedTags):
    """Share of pairs in the right order (chance: a half), and of the named instruments that are among the strongest.

    Of the k instruments that a caption names, those among the k strongest count.

    Args:
        weights: the fitted maps; None for those that ship with musegen.
    """

    kind = "instruments"

    def __init__(self, weights: str | None = None) -> None:
        super().__init__(weights)
        self.names: Mapping[str, str] = {
            "instruments (fitted)": f"named before unnamed, of all pairs; {self.worth}",
            "instruments, found (fitted)": "of those named, among as many strongest",
        }

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Between 0 and 1; NaN for a caption without instruments."""
        heard, asked = self.heard_names(clips), self.asked_names([one.instruments for one in wanted])
        return dict(zip(self.names, (ordered(heard, asked), found(heard, asked)), strict=True))


def found(heard: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Of the k names that are asked for, the share among the k that are heard most, ``[clips]``; NaN where k is 0."""
    count = asked.sum(1)
    rank = (-heard).argsort(1).argsort(1)
    right = ((rank < count[:, None]) & asked).sum(1)
    return np.where(count > 0, right / np.maximum(count, 1), np.nan)
