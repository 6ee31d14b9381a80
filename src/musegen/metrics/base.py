"""The slot for metrics: one a file, named after what it measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from musegen.config import Configurable
from musegen.metrics.figures import Better, Figure, mean_of
from musegen.metrics.hearing.base import Feature, Heard
from musegen.metrics.music import Piece
from musegen.metrics.wanted import Wanted

SHUFFLES = 20
"""How often captions are dealt out anew to learn what chance would score."""


@dataclass(frozen=True)
class MusicSet:
    """Clips, and what was heard in them.

    Args:
        name: the folder.
        pieces: the clips.
        heard: by a feature's identity, what was heard in each clip.
    """

    name: str
    pieces: Sequence[Piece]
    heard: Mapping[str, Sequence[Heard]]

    def __len__(self) -> int:
        return len(self.pieces)

    def of(self, feature: Feature) -> Sequence[Heard]:
        """What a feature heard in each clip."""
        return self.heard[feature.identity]

    def values(self, feature: Feature, name: str) -> np.ndarray:
        """One named thing of each clip, ``[clips, …]``."""
        return np.stack([np.asarray(heard[name]) for heard in self.of(feature)])

    @cached_property
    def groups(self) -> list[str]:
        """Which group each clip belongs to; see `Piece.group`."""
        return [piece.group for piece in self.pieces]

    @cached_property
    def wanted(self) -> list[Wanted]:
        """What each clip should be."""
        return [piece.wanted for piece in self.pieces]

    @cached_property
    def deals(self) -> list[list[int]]:
        """For each of some shuffles, another caption's clip for each clip; none where all have one caption."""
        captions = np.unique([piece.caption for piece in self.pieces], return_inverse=True)[1]
        if len(set(captions.tolist())) < 2:
            return []
        chance = np.random.Generator(np.random.Philox(len(captions)))
        dealt = []
        for _ in range(SHUFFLES):
            choice = chance.integers(0, len(captions), len(captions))
            while (same := captions[choice] == captions).any():
                choice[same] = chance.integers(0, len(captions), int(same.sum()))
            dealt.append(choice.tolist())
        return dealt


@dataclass(frozen=True)
class Sets:
    """What a metric may look at.

    Args:
        ours: the music that is judged.
        truth: real music with facts that no model has seen: what a perfect model would score.
        reference: real music to be like.
        training: what the model has learned from.
    """

    ours: MusicSet
    truth: MusicSet | None = None
    reference: MusicSet | None = None
    training: MusicSet | None = None

    @property
    def real(self) -> MusicSet | None:
        """Real music that shows what a judge is worth: the truth, or else the reference."""
        return self.truth or self.reference

    def all(self) -> list[MusicSet]:
        """Those that there are."""
        return [one for one in (self.ours, self.truth, self.reference, self.training) if one is not None]


class Metric(Configurable, ABC):
    """Judges one property of a set of clips.

    What it needs to hear is declared, so that every file is decoded once for all metrics, and what was heard is kept.
    """

    @abstractmethod
    def features(self) -> list[Feature]:
        """What must be heard in every clip."""

    @abstractmethod
    def measure(self, sets: Sets) -> list[Figure]:
        """The figures; one whose `ours` is None says in its note why it could not be measured."""


class Judge(Metric):
    """A metric that asks of every clip whether it is what its caption wants.

    Besides our clips it judges real music of known truth (the ceiling, which is the judge's own accuracy), and our
    clips by captions that belong to others (chance).
    """

    names: Mapping[str, str]
    """What is scored, and a note on each."""

    better: Better = "higher"

    @abstractmethod
    def scores(self, clips: MusicSet, wanted: Sequence[Wanted], real: MusicSet) -> Mapping[str, np.ndarray]:
        """Scores of each clip by name; NaN where the caption does not say.

        Args:
            clips: what is judged.
            wanted: what each of them should be.
            real: music that the judge may take its scale from.
        """

    def measure(self, sets: Sets) -> list[Figure]:
        """Ours, the ceiling and chance for each of `names`."""
        real = sets.real
        scale = real or sets.ours
        ours = self.scores(sets.ours, sets.ours.wanted, scale)
        ceiling = {} if real is None else self.scores(real, real.wanted, scale)
        dealt = [self.scores(sets.ours, [sets.ours.wanted[other] for other in deal], scale) for deal in sets.ours.deals]
        figures = []
        for name, note in self.names.items():
            own = mean_of(ours[name], sets.ours.groups)
            if not own.count:
                figures.append(Figure(self._file, name, None, note="no caption says anything about it"))
                continue
            top = mean_of(ceiling[name], real.groups) if real is not None else None
            chance = None
            if dealt:
                with np.errstate(all="ignore"):
                    by_chance = np.array([scores[name] for scores in dealt])
                    counted = (~np.isnan(by_chance)).sum(0)
                    means = np.where(counted > 0, np.nansum(by_chance, 0) / np.maximum(counted, 1), np.nan)
                chance = mean_of(means, sets.ours.groups)
            top = top if top is not None and top.count else None
            figures.append(Figure(self._file, name, own, top, chance, self.better, note))
        return figures

    @property
    def _file(self) -> str:
        return type(self).__module__.rpartition(".")[2]
