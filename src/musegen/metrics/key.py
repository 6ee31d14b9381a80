"""Whether a clip is in the key, and in the mode, that its caption says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import Judge, MusicSet
from musegen.metrics.hearing.base import Feature
from musegen.metrics.hearing.key import Key
from musegen.metrics.wanted import Wanted


class KeyAgreement(Judge):
    """Share of clips in the very key, in it or its relative, in it or a fifth away, and in the mode.

    The relations are those of MIREX' key detection task, https://www.music-ir.org/mirex/wiki/2005:Audio_Key_Finding.
    """

    names: Mapping[str, str] = {
        "key": "the very key",
        "key or relative": "such as A minor for C major",
        "key or fifth": "its dominant and subdominant count too",
        "mode": "major or minor",
    }

    def __init__(self) -> None:
        super().__init__()
        self.heard = Key()

    def features(self) -> list[Feature]:
        """The key."""
        return [self.heard]

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """1 where as wanted, 0 where not: also where no pitch is heard."""
        heard = [int(key) for key in clips.values(self.heard, "key")]
        rows = [_score(key, want) for key, want in zip(heard, wanted, strict=True)]
        return dict(zip(self.names, np.array(rows, np.float64).reshape(-1, 4).T, strict=True))


def _score(heard: int, wanted: Wanted) -> list[float]:
    mode = np.nan if wanted.mode is None else float(heard >= 0 and (heard >= 12) == (wanted.mode == "minor"))
    if wanted.key is None:
        return [np.nan, np.nan, np.nan, mode]
    relation = related(heard, wanted.key)
    return [relation == "same", relation in ("same", "relative"), relation in ("same", "fifth"), mode]


def related(heard: int, wanted: int) -> str:
    """How a key lies to another: ``same``, ``relative``, ``fifth``, ``parallel`` or ``other``."""
    if heard < 0:
        return "other"
    distance = (heard - wanted) % 12
    if heard // 12 == wanted // 12:
        return {0: "same", 5: "fifth", 7: "fifth"}.get(distance, "other")
    if distance == (9 if wanted < 12 else 3):
        return "relative"
    return "parallel" if distance == 0 else "other"
