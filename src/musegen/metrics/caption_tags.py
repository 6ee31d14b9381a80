"""Judging clips by musicnn's tags, through a fixed map from words of captions to tags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musegen.metrics.base import Judge, MusicSet
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.hearing.base import Feature
from musegen.metrics.musicnn.network import TAGS
from musegen.metrics.wanted import tag_map


class CaptionTags(Judge):
    """What the judges of instruments and of genres share: how much of each name is heard in each clip.

    A name's score is the highest logit of its tags, in standard deviations from its mean over the real music, so that
    a tag that musicnn gives to all of a corpus says nothing. The map was fixed before any model was trained.
    """

    kind: str
    """A part of ``caption_tags.json``."""

    def __init__(self) -> None:
        super().__init__()
        self.taggers = {"MSD": MusicnnEmbedder("MSD"), "MTT": MusicnnEmbedder("MTT")}
        self.tags = {name: entry["tags"] for name, entry in tag_map(self.kind).items() if entry["tags"]}
        used = {tag.partition(":")[0] for tags in self.tags.values() for tag in tags}
        self.taggers = {dataset: tagger for dataset, tagger in self.taggers.items() if dataset in used}

    def features(self) -> list[Feature]:
        """The tags."""
        return list(self.taggers.values())

    def heard_names(self, clips: MusicSet, real: MusicSet) -> np.ndarray:
        """How much of each name is heard in each clip, ``[clips, names]``, in standard deviations of real music."""
        scale = self._levels(real)
        return (self._levels(clips) - scale.mean(0)) / np.maximum(scale.std(0), 1e-6)

    def _levels(self, clips: MusicSet) -> np.ndarray:
        logits = {
            dataset: np.stack([np.asarray(heard["logits"]).mean(0) for heard in clips.of(tagger)])
            for dataset, tagger in self.taggers.items()
        }

        def level(tag: str) -> np.ndarray:
            dataset, _, name = tag.partition(":")
            return logits[dataset][:, TAGS[dataset].index(name)]  # type: ignore[index]

        return np.stack([np.max([level(tag) for tag in tags], 0) for tags in self.tags.values()], 1)

    def asked_names(self, wanted: Sequence[frozenset[str]]) -> np.ndarray:
        """Which names each clip should have, ``[clips, names]`` of booleans."""
        return np.array([[name in names for name in self.tags] for names in wanted]).reshape(-1, len(self.tags))


def ordered(heard: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Share of pairs of a name that is asked for and one that is not in which the first is heard more, ``[clips]``.

    NaN where all or none are asked for; half where nothing can be told apart.
    """
    scores = np.full(len(heard), np.nan)
    for clip, (levels, names) in enumerate(zip(heard, asked, strict=True)):
        difference = levels[names][:, None] - levels[~names]
        if difference.size:
            scores[clip] = np.mean((difference > 0) + 0.5 * (difference == 0))
    return scores


def found_first(heard: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Whether the name that is heard most is asked for, ``[clips]``; NaN where none is."""
    first = asked[np.arange(len(heard)), heard.argmax(1)].astype(np.float64)
    return np.where(asked.any(1), first, np.nan)
