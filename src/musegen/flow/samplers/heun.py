"""Heun's method."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class Heun(Sampler):
    """Order 2, two evaluations a step: along the mean of both ends' velocities (the explicit trapezoidal rule)."""

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for time, following in pairwise(times):
            step = following - time
            first = field.velocity(x, time)
            second = field.velocity(x + step * first, following)
            x = x + step / 2 * (first + second)
            yield x
