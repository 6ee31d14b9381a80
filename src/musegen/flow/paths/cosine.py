"""The quarter circle between noise and data, learned by the v-objective."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from musegen.flow.paths.base import Path, expand


class CosinePath(Path):
    """The quarter circle ``x_t = sin(πt/2) · data + cos(πt/2) · noise``, as Stable Audio Open 1.0 was trained on.

    A network predicts ``u = sigma · data − alpha · noise``, the velocity but for a factor π/2. The published v is its
    negative, since published time runs from data to noise.

    Source: "Progressive Distillation for Fast Sampling of Diffusion Models", 2022, https://arxiv.org/abs/2202.00512.
    """

    def alpha(self, time: Tensor) -> Tensor:
        """Scale of the data: sin(πt/2)."""
        return torch.sin(time * (math.pi / 2))

    def sigma(self, time: Tensor) -> Tensor:
        """Scale of the noise: cos(πt/2), as a sine so that it ends at 0 exactly."""
        return torch.sin((1 - time) * (math.pi / 2))

    def time_at(self, noise_level: Tensor) -> Tensor:
        """The inverse of `noise_level`."""
        return torch.atan2(torch.ones_like(noise_level), noise_level) * (2 / math.pi)

    def target(self, data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """What the network learns to predict: sigma · data − alpha · noise."""
        time = expand(time, data)
        return self.sigma(time) * data - self.alpha(time) * noise

    def velocity(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """dx/dt of the probability-flow ODE."""
        return prediction * (math.pi / 2)

    def denoised(self, prediction: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The expected data, E[data | x_t]."""
        time = expand(time, x)
        return self.alpha(time) * x + self.sigma(time) * prediction

    def prediction(self, denoised: Tensor, x: Tensor, time: Tensor) -> Tensor:
        """The inverse of `denoised`, for t < 1."""
        time = expand(time, x)
        return (denoised - self.alpha(time) * x) / self.sigma(time)
