"""Euler's method."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class Euler(Sampler):
    """Order 1, one evaluation a step: straight along the velocity."""

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for time, following in pairwise(times):
            x = x + (following - time) * field.velocity(x, time)
            yield x
