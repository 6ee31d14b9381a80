"""What the metrics of a clip's level share: a number for each clip, ours beside real music's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np

from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.figures import Better, Figure, mean_of
from musegen.metrics.hearing.base import Feature
from musegen.metrics.hearing.level import Level


class LevelMetric(Metric):
    """A number of each clip that needs no caption; the ceiling is its mean over real music."""

    names: Mapping[str, str]
    better: Better = "lower"

    def __init__(self) -> None:
        super().__init__()
        self.level = Level()

    def features(self) -> list[Feature]:
        """The levels."""
        return [self.level]

    @abstractmethod
    def numbers(self, clips: MusicSet) -> Mapping[str, np.ndarray]:
        """Numbers of each clip by name."""

    def measure(self, sets: Sets) -> list[Figure]:
        """Means of ours and of real music."""
        ours = self.numbers(sets.ours)
        real = {} if sets.real is None else self.numbers(sets.real)
        file = type(self).__module__.rpartition(".")[2]
        figures = []
        for name, note in self.names.items():
            own = mean_of(ours[name], sets.ours.groups)
            top = mean_of(real[name], sets.real.groups) if sets.real is not None else None
            figures.append(Figure(file, name, own if own.count else None, top, None, self.better, note))
        return figures
