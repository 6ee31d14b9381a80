"""Whether the notes of a clip belong to the key that its caption says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from musegen.metrics.base import Judge, MusicSet
from musegen.metrics.hearing.base import Feature
from musegen.metrics.hearing.notes import Notes
from musegen.metrics.wanted import Wanted

SCALES = (frozenset({0, 2, 4, 5, 7, 9, 11}), frozenset({0, 2, 3, 5, 7, 8, 10, 11}))
"""Steps of major, and of minor with both sevenths."""


class NotesInKey(Judge):
    """Share of sounding notes that lie in the scale of the key; about six in ten by chance.

    Not among the standard metrics, as it needs onnxruntime: ask for it by ``--metrics notes``.
    """

    names: Mapping[str, str] = {"notes in key": "share of note frames"}

    def __init__(self) -> None:
        super().__init__()
        self.heard = Notes()

    def features(self) -> list[Feature]:
        """The notes."""
        return [self.heard]

    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Between 0 and 1; 0 where no note sounds."""
        classes = clips.values(self.heard, "classes")
        found = [share(row, one.key) for row, one in zip(classes, wanted, strict=True)]
        return {"notes in key": np.array(found)}


def share(classes: np.ndarray, key: int | None) -> float:
    """Share of pitch classes ``[12]`` in a key's scale; NaN without a key."""
    if key is None:
        return float("nan")
    scale = [(key + step) % 12 for step in SCALES[key // 12]]
    return float(classes[scale].sum() / max(classes.sum(), 1e-9))
