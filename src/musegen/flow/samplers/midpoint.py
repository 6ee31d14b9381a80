"""The explicit midpoint method."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class Midpoint(Sampler):
    """Order 2, two evaluations a step: along the velocity found half a step ahead. Never evaluates at the last time."""

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for time, following in pairwise(times):
            step = following - time
            middle = x + step / 2 * field.velocity(x, time)
            x = x + step * field.velocity(middle, time + step / 2)
            yield x
