"""At which times a sampler stops between noise and data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from musegen.config import Configurable
from musegen.flow.paths.base import Path
from musegen.flow.times import shift_times


class Grid(Configurable, ABC):
    """A rule for a sampler's times."""

    def times(self, steps: int, path: Path, start: float = 0.0) -> Tensor:
        """Lay ``steps`` steps.

        Args:
            steps: number of steps, at least 1.
            path: turns noise levels into times.
            start: earliest time; above 0 where a generation starts from given data.

        Returns:
            ``[steps + 1]`` increasing times that end at 1, float64, on the CPU. The first is ``start``, or later for a
            grid that does not reach down to pure noise.

        Raises:
            ValueError: for fewer than one step or a start outside [0, 1).
        """
        if steps < 1:
            raise ValueError(f"steps is at least 1, got {steps}")
        if not 0 <= start < 1:
            raise ValueError(f"a start time is at least 0 (noise) and below 1 (data), got {start}")
        return self._lay(steps, path, start)

    @abstractmethod
    def _lay(self, steps: int, path: Path, start: float) -> Tensor:
        """Lay the times; the arguments have been checked."""


class EvenTimes(Grid):
    """Equal steps of time, optionally shifted towards noise for long items.

    Args:
        shift: what `musegen.flow.times.shift_times` applies; 1 for equal steps.
    """

    def __init__(self, shift: float = 1.0) -> None:
        super().__init__()
        if shift <= 0:
            raise ValueError(f"EvenTimes: shift is above 0, got {shift}")
        self.shift = shift

    def _lay(self, steps: int, path: Path, start: float) -> Tensor:
        unshifted = float(shift_times(torch.tensor(start, dtype=torch.float64), 1 / self.shift))
        times = shift_times(torch.linspace(unshifted, 1, steps + 1, dtype=torch.float64), self.shift)
        times[0] = start
        return times


class EvenLogSNR(Grid):
    """Equal steps of log(alpha / sigma) between two bounds; the first time is the start, and the last is the data.

    The defaults are those that Stable Audio Open Small was published with, arXiv 2505.08175.

    Args:
        low: bound at the noise.
        high: bound at the data.
    """

    def __init__(self, low: float = -6.0, high: float = 2.0) -> None:
        super().__init__()
        if low >= high:
            raise ValueError(f"EvenLogSNR: low is below high, got {low} and {high}")
        self.low, self.high = low, high

    def _lay(self, steps: int, path: Path, start: float) -> Tensor:
        level = float(path.noise_level(torch.tensor(start, dtype=torch.float64)))
        low = max(self.low, -math.log(level))
        times = path.time_at(torch.exp(-torch.linspace(low, max(low, self.high), steps + 1, dtype=torch.float64)))
        times[0], times[-1] = start, 1.0
        # a start that is past the bound leaves no room between them
        return times if low < self.high else torch.linspace(start, 1, steps + 1, dtype=torch.float64)


class Polyexponential(Grid):
    """Noise levels sigma / alpha between two bounds, even in their logarithm to a power, then a last step to the data.

    The grid of k-diffusion that Stable Audio Open 1.0 was published with. A start past ``sigma_min`` gives equal steps
    of time.

    Args:
        sigma_min: lowest noise level before the data.
        sigma_max: highest noise level.
        rho: 1 is even in the logarithm; more puts steps near ``sigma_min``.
    """

    def __init__(self, sigma_min: float = 0.3, sigma_max: float = 500.0, rho: float = 1.0) -> None:
        super().__init__()
        if not 0 < sigma_min < sigma_max:
            raise ValueError(f"Polyexponential: 0 < sigma_min < sigma_max, got {sigma_min} and {sigma_max}")
        self.sigma_min, self.sigma_max, self.rho = sigma_min, sigma_max, rho

    def _lay(self, steps: int, path: Path, start: float) -> Tensor:
        level = float(path.noise_level(torch.tensor(start, dtype=torch.float64)))
        sigma_max = min(self.sigma_max, level)
        if sigma_max <= self.sigma_min:
            return torch.linspace(start, 1, steps + 1, dtype=torch.float64)
        ramp = torch.linspace(1, 0, steps, dtype=torch.float64) ** self.rho
        low, high = math.log(self.sigma_min), math.log(sigma_max)
        levels = torch.exp(low + ramp * (high - low))
        times = path.time_at(torch.cat([levels, torch.zeros(1, dtype=torch.float64)]))
        if level <= self.sigma_max:
            times[0] = start
        return times
