"""The classical Runge-Kutta method."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class RK4(Sampler):
    """Order 4, four evaluations a step: the classical method, not the 3/8 rule (which is torchdiffeq's ``rk4``)."""

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for time, following in pairwise(times):
            step, middle = following - time, (time + following) / 2
            first = field.velocity(x, time)
            second = field.velocity(x + step / 2 * first, middle)
            third = field.velocity(x + step / 2 * second, middle)
            fourth = field.velocity(x + step * third, following)
            x = x + step / 6 * (first + 2 * second + 2 * third + fourth)
            yield x
