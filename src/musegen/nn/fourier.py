"""Numbers, and times, as sines and cosines of many frequencies."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from musegen.nn.precise import Precise


class FourierFeatures(Precise):
    """Random frequencies, fixed once drawn: time ``[batch]`` → features ``[batch, features]``, float32.

    Source: Tancik et al., Fourier Features Let Networks Learn High Frequency Functions, 2020,
    https://arxiv.org/abs/2006.10739.

    Args:
        features: how many features, an even number: cosines, then sines.
        std: spread of the frequencies, in cycles per unit of time.
    """

    def __init__(self, features: int = 256, std: float = 16.0) -> None:
        super().__init__()
        if features % 2:
            raise ValueError(f"features: expected an even number, got {features}")
        # A parameter that is never trained rather than a buffer: published counts of parameters include it.
        self.weight = nn.Parameter(std * torch.randn(features // 2, 1), requires_grad=False)

    def forward(self, time: Tensor) -> Tensor:
        """Return the features of each time."""
        phase = 2 * math.pi * time.float()[:, None] * self.weight[:, 0].float()
        return torch.cat((phase.cos(), phase.sin()), dim=-1)


class LearnedFourierFeatures(Precise):
    """A number beside the sines and cosines of learned frequencies of it: ``[batch]`` → ``[batch, features + 1]``.

    Args:
        features: how many sines and cosines together, an even number.
        std: spread of the initial frequencies, in cycles per unit.
    """

    def __init__(self, features: int = 256, std: float = 16.0) -> None:
        super().__init__()
        if features % 2:
            raise ValueError(f"features: expected an even number, got {features}")
        self.weights = nn.Parameter(std * torch.randn(features // 2))

    def forward(self, number: Tensor) -> Tensor:
        """Return the number itself, then sines, then cosines, in float32."""
        number = number.float()[:, None]
        phase = number * self.weights.float() * 2 * math.pi
        return torch.cat((number, phase.sin(), phase.cos()), dim=-1)


class NumberEmbedding(nn.Module):
    """Embed numbers between 0 and 1: ``[batch]`` → ``[batch, dim]``.

    The names of its parameters are those of stable-audio-tools' number conditioner below ``embedder.``.

    Args:
        dim: width of the embedding.
        features: sines and cosines that it is made of.
    """

    def __init__(self, dim: int, features: int = 256) -> None:
        super().__init__()
        self.embedding = nn.Sequential(LearnedFourierFeatures(features), nn.Linear(features + 1, dim))

    def forward(self, number: Tensor) -> Tensor:
        """Embed each number, in the dtype of the weights."""
        features, linear = self.embedding
        return linear(features(number).to(linear.weight.dtype))
