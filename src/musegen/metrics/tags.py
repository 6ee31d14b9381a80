"""Whether a clip has the tags of the real piece that its caption was written for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.figures import Figure, mean_of
from musegen.metrics.hearing.base import Feature


class TagAgreement(Metric):
    """Correlation of musicnn's hundred tags between a clip and the real piece with the same caption.

    Tags are standardised over the real music. The ceiling is how far two halves of a real piece agree; chance is a
    clip and a piece with another caption.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taggers = [MusicnnEmbedder("MSD"), MusicnnEmbedder("MTT")]

    def features(self) -> list[Feature]:
        """The tags."""
        return [*self.taggers]

    def measure(self, sets: Sets) -> list[Figure]:
        """One figure; none where no real piece has a caption of ours."""
        nothing = Figure("tags", "tags", None, note="no real piece has a caption of ours")
        candidates = [real for real in (sets.truth, sets.reference) if real is not None]
        paired = [(real, pairs) for real in candidates if (pairs := pairs_of(sets.ours, real))]
        if not paired:
            return [nothing]
        real, pairs = max(paired, key=lambda one: len(one[1]))
        scale = self._tags(real, slice(None))
        centre, spread = scale.mean(0), np.maximum(scale.std(0), 1e-6)

        def standard(clips: MusicSet, part: slice) -> np.ndarray:
            return (self._tags(clips, part) - centre) / spread

        ours, theirs = standard(sets.ours, slice(None)), standard(real, slice(None))
        mine = np.array(sorted(pairs))
        groups = [sets.ours.groups[clip] for clip in mine]
        agreement = correlation(ours[mine], theirs[[pairs[clip] for clip in mine]])
        dealt = []
        for deal in sets.ours.deals:
            given = np.array([pairs.get(deal[clip], -1) for clip in mine])  # not every caption has a real piece
            dealt.append(np.where(given < 0, np.nan, correlation(ours[mine], theirs[given])))
        halves = correlation(standard(real, slice(None, None, 2)), standard(real, slice(1, None, 2)))
        halves[[len(np.asarray(heard["logits"])) < 2 for heard in real.of(self.taggers[0])]] = np.nan
        chance = mean_of(mean_of_known(np.array(dealt)), groups) if dealt else None
        note = "correlation with the real piece of this caption; ceiling: both halves of a real piece"
        return [Figure("tags", "tags", mean_of(agreement, groups), mean_of(halves), chance, note=note)]

    def _tags(self, clips: MusicSet, part: slice) -> np.ndarray:
        """The mean over some windows of all tags' logits, ``[clips, 100]``."""
        both = []
        for tagger in self.taggers:
            rows = [np.asarray(heard["logits"]) for heard in clips.of(tagger)]
            both.append(np.stack([row[part].mean(0) if len(row[part]) else row.mean(0) for row in rows]))
        return np.concatenate(both, 1)


def pairs_of(ours: MusicSet, real: MusicSet) -> dict[int, int]:
    """For the clips whose caption is said of a real piece, which piece that is."""
    said = {caption: number for number, piece in enumerate(real.pieces) for caption in piece.captions}
    return {clip: said[piece.caption] for clip, piece in enumerate(ours.pieces) if piece.caption in said}


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the first axis of what is not NaN; NaN where all is."""
    known = ~np.isnan(values)
    return np.where(known.any(0), np.where(known, values, 0.0).sum(0) / np.maximum(known.sum(0), 1), np.nan)


def correlation(first: np.ndarray | Sequence[np.ndarray], second: np.ndarray) -> np.ndarray:
    """Pearson's correlation of rows."""
    first, second = (np.asarray(rows) - np.mean(rows, 1, keepdims=True) for rows in (first, second))
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / np.maximum(lengths, 1e-12)
