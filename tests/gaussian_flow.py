"""Flow problems with exact solutions: the field of Gaussian data on any path."""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.paths.base import Path, expand


class Gaussian:
    """Independent coordinates with their own means and standard deviations."""

    def __init__(self, path: Path, mean: Tensor, std: Tensor) -> None:
        self.path, self.mean, self.std = path, mean, std

    def coefficients(self, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Alpha, sigma and the variance of x_t."""
        time = expand(time, self.mean.unsqueeze(0)) if time.ndim else time
        alpha, sigma = self.path.alpha(time), self.path.sigma(time)
        return alpha, sigma, alpha**2 * self.std**2 + sigma**2

    def predict(self, x: Tensor, time: Tensor) -> Tensor:
        """The prediction of a perfect network."""
        alpha, sigma, variance = self.coefficients(time)
        centred = (x - alpha * self.mean) / variance
        data, noise = self.mean + alpha * self.std**2 * centred, sigma * centred
        return self.path.target(data, noise, time)

    def field(self) -> Field:
        return Field(self.predict, self.path)

    def solve(self, x: Tensor, start: Tensor, end: Tensor) -> Tensor:
        """Where the probability-flow ODE carries x."""
        alpha, _, variance = self.coefficients(start)
        alpha_end, _, variance_end = self.coefficients(end)
        return alpha_end * self.mean + (variance_end / variance).sqrt() * (x - alpha * self.mean)


def problem(path: Path, dtype: torch.dtype = torch.float64) -> tuple[Gaussian, Tensor]:
    """A problem of four coordinates and three items' noise."""
    generator = torch.Generator().manual_seed(3)
    mean = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=dtype)
    std = torch.tensor([0.3, 1.0, 2.0, 0.7], dtype=dtype)
    return Gaussian(path, mean, std), torch.randn(3, 4, generator=generator, dtype=torch.float64).to(dtype)
