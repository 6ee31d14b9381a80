"""What every sampler is: a way through a field from noise to data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from musegen.config import Configurable
from musegen.flow.field import Field
from musegen.flow.grids import EvenTimes, Grid
from musegen.flow.paths.base import Path

Noise = Callable[[int], Tensor]
"""Fresh standard normal noise ``[batch, *shape]`` for a step of the sampler, counted from 0; each item has its own."""

Progress = Callable[[int, int], None]
"""Told how many steps of how many are done."""


class Sampler(Configurable, ABC):
    """A method that carries items along a field, from the first time of a grid to the last.

    A subclass writes `trajectory`, in its own file; what it remembers from step to step are its local variables::

        class Euler(Sampler):
            def trajectory(self, field, x, times, noise):
                for time, following in itertools.pairwise(times):
                    x = x + (following - time) * field.velocity(x, time)
                    yield x

    It treats every item by itself: no sum, mean, norm or decision goes over the batch.

    Args:
        grid: where it stops; None for the method's own default.
    """

    stochastic: bool = False
    """Whether it draws noise on the way."""

    batched: bool = True
    """False where it can only be right with one item at a time."""

    def __init__(self, grid: Grid | None = None) -> None:
        super().__init__()
        self.grid = grid or self.default_grid()

    def default_grid(self) -> Grid:
        """The grid that the method is at its best with."""
        return EvenTimes()

    def times(self, steps: int, path: Path, start: float = 0.0) -> Tensor:
        """The grid's ``[steps + 1]`` times; see `musegen.flow.grids.Grid.times`."""
        return self.grid.times(steps, path, start)

    @abstractmethod
    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first.

        Args:
            field: what to follow.
            x: the items at the first time, ``[batch, *shape]``.
            times: ``[steps + 1]``, increasing, float64, on the CPU; ``times[i]`` is a time that all items share.
            noise: fresh noise for step ``i``, for a method that is `stochastic`.
        """

    def sample(
        self,
        field: Field,
        x: Tensor,
        times: Tensor,
        noise: Noise | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Follow the trajectory to its end.

        Args:
            field: what to follow.
            x: the items at the first time, ``[batch, *shape]``.
            times: ``[steps + 1]``, increasing, within [0, 1].
            noise: fresh noise for a step; only a stochastic method needs it.
            progress: told after every step.

        Returns:
            The items at the last time, shaped like ``x``.

        Raises:
            ValueError: for times that are not increasing, missing noise, or several items where one is the limit.
        """
        times = times.detach().to(device="cpu", dtype=torch.float64)
        if times.ndim != 1 or len(times) < 2 or not bool((times.diff() > 0).all()) or times[0] < 0 or times[-1] > 1:
            raise ValueError(f"times are [steps + 1], increasing from 0 or later to 1 or earlier, got {times.tolist()}")
        if not self.batched and len(x) > 1:
            raise ValueError(f"{type(self).__name__} takes one item at a time, got {len(x)}")
        if noise is None:
            if self.stochastic:
                raise ValueError(f"{type(self).__name__} draws noise on the way, and was given none")
            noise = _no_noise
        done = 0
        for following in self.trajectory(field, x, times, noise):
            x, done = following, done + 1
            if progress is not None:
                progress(done, len(times) - 1)
        return x


def _no_noise(step: int) -> Tensor:
    raise ValueError(f"a sampler that is not marked stochastic asked for noise at step {step}")
