"""Whether a clip is of the genre that its caption names, by maps that were fitted on rendered music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.caption_tags import found_first, ordered
from musegen.metrics.fitted_tags import FittedTags
from musegen.metrics.wanted import Wanted


class FittedGenre(FittedTags):
    """Share of pairs in the right order (chance: a half), and share of clips whose strongest genre is a named one.

    Args:
        weights: the fitted maps; None for those that ship with musegen.
    """

    kind = "genres"

    def __init__(self, weights: str | None = None) -> None:
        super().__init__(weights)
        self.names: Mapping[str, str] = {
            "genre (fitted)": f"named before unnamed, of all pairs; {self.worth}",
            "genre, first (fitted)": "the strongest is a named one",
        }

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Between 0 and 1; NaN for a caption without a genre."""
        heard, asked = self.heard_names(clips), self.asked_names([one.genres for one in wanted])
        return dict(zip(self.names, (ordered(heard, asked), found_first(heard, asked)), strict=True))
