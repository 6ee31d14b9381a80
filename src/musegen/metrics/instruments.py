"""Whether the instruments that a caption names are heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import MusicSet
from musegen.metrics.caption_tags import CaptionTags, ordered
from musegen.metrics.wanted import Wanted


class InstrumentAgreement(CaptionTags):
    """Share of pairs of a named and an unnamed instrument in which the named one is heard more; chance is a half."""

    kind = "instruments"
    names: Mapping[str, str] = {"instruments": "named before unnamed, of all pairs"}

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Between 0 and 1; NaN for a caption without instruments that musicnn knows."""
        asked = self.asked_names([one.instruments for one in wanted])
        return {"instruments": ordered(self.heard_names(clips, real), asked)}
