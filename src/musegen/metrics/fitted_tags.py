"""Judging clips by linear maps over frozen musicnn and the groove, fitted on rendered songs of known facts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from musegen.metrics.base import Judge, MusicSet
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.hearing.base import Feature
from musegen.metrics.hearing.groove import Groove
from musegen.metrics.tag_maps import read_maps

SHIPPED = Path(__file__).with_name("fitted_tags.safetensors")


class FittedTags(Judge):
    """What the fitted judges of instruments and of genres share: how much of each name is heard in each clip.

    A name's score is the logarithm of how much likelier hearing the clip has made it: its logit, less that of its share
    of the songs that the map was fitted on. So common names need no less evidence than rare ones, and a clip's scores
    depend on no other clip.

    The networks are frozen and were trained on recordings; only the maps from the responses of their filters, and from
    the groove, to the names of ``caption_tags.json`` were fitted, by ``scripts/fit_judges.py``, on rendered songs of
    the training split. So nothing that generates was asked. Of recordings these judges know little.

    Args:
        weights: the fitted maps; None for those that ship with musegen.
    """

    kind: str
    """Of `musegen.metrics.tag_maps.KINDS`."""

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights
        self.ears = ears()
        self.fitted = read_maps(SHIPPED if weights is None else Path(weights))[self.kind]
        worth = (self.fitted.area(split) for split in ("val", "unseen"))
        self.worth = "AUC {:.2f} on the held-out songs that chose its names, {:.2f} on styles never seen".format(*worth)

    def features(self) -> list[Feature]:
        """Both networks, and the groove."""
        return list(self.ears)

    def heard_names(self, clips: MusicSet) -> np.ndarray:
        """How much likelier each name is in each clip than without hearing it, ``[clips, names]``, as a logarithm."""
        return self.fitted.map.logits(described(clips, self.ears))

    def asked_names(self, wanted: Sequence[frozenset[str]]) -> np.ndarray:
        """Which names each clip should have, ``[clips, names]`` of booleans."""
        known = self.fitted.names
        return np.array([[name in names for name in known] for names in wanted], bool).reshape(-1, len(known))


def ears(every: int = 1) -> list[Feature]:
    """What the maps read, hearing one of so many windows of three seconds."""
    return [MusicnnEmbedder("MSD", every), MusicnnEmbedder("MTT", every), Groove()]


def described(clips: MusicSet, heard_by: Sequence[Feature]) -> np.ndarray:
    """What the maps read, ``[clips, 3192]``: responses of the filters, the mean over windows, and the groove."""
    parts = [clips.values(one, "groove" if isinstance(one, Groove) else "pooled") for one in heard_by]
    return np.concatenate([part.reshape(len(clips), -1) for part in parts], 1).astype(np.float64)
