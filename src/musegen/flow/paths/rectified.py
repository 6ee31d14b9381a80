"""The straight line between noise and data."""

from __future__ import annotations

from torch import Tensor

from musegen.flow.paths.base import Path, expand


class RectifiedFlow(Path):
    """The straight line ``x_t = t · data + (1 − t) · noise``; a network predicts its velocity, data − noise.

    The velocity, the expected data and x determine each other, but for the end t = 1, where x is the data whatever the
    velocity.

    Source: "Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow", 2022,
    https://arxiv.org/abs/2209.03003.
    """

    def alpha(self, time: Tensor) -> Tensor:
        """Scale of the data: t."""
        return time

    def sigma(self, time: Tensor) -> Tensor:
        """Scale of the noise: 1 − t."""
        return 1 - time

    def time_at(self, noise_level: Tensor) -> Tensor:
        """The inverse of `noise_level`."""
        return 1 / (1 + noise_level)

    def target(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the network learns to predict: data − noise."""
        return data - noise

    def velocity(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """dx/dt of the probability-flow ODE: the prediction itself."""
        return prediction

    def denoised(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The expected data, E[data | x_t]."""
        return x + self.sigma(expand(time, x)) * prediction

    def prediction(self, denoised: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The inverse of `denoised`, for t < 1."""
        return (denoised - x) / self.sigma(expand(time, x))
