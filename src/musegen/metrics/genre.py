"""Whether a clip is of the genre that its caption names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.caption_tags import CaptionTags, found_first, ordered
from musegen.metrics.wanted import Wanted


class GenreAgreement(CaptionTags):
    """Share of clips whose strongest genre is a named one, and share of pairs in the right order (chance: a half)."""

    kind = "genres"
    names: Mapping[str, str] = {
        "genre, first": "the strongest is a named one",
        "genre": "named before unnamed, of all pairs",
    }

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Between 0 and 1; NaN for a caption without a genre that musicnn knows."""
        heard, asked = self.heard_names(clips, real), self.asked_names([one.genres for one in wanted])
        return {"genre, first": found_first(heard, asked), "genre": ordered(heard, asked)}
