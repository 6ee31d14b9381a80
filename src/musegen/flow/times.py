"""Which flow times training meets, and the shift that long latents ask for."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from musegen.config import Configurable


def shift_times(time: Tensor, shift: float) -> Tensor:
    """Move times towards noise, so that more of them see a long item as noisy as a short one.

    Redundant frames average noise out: on an item ``n`` times as long the same blur needs √n times the noise level. On
    a rectified flow the shifted time has ``shift`` times the noise level of the given one; the ends stay.

    Source: "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024, equation 23,
    https://arxiv.org/abs/2403.03206 (whose t runs from data to noise).
    """
    return time / (time + shift * (1 - time))


def shift_for_length(frames: int, base_frames: int = 256) -> float:
    """The shift for items of ``frames``, relative to a length that needs none: √(frames / base_frames)."""
    return (frames / base_frames) ** 0.5


class TimeDistribution(Configurable, ABC):
    """How flow times are drawn in training: a quantile function."""

    @abstractmethod
    def sample(self, uniforms: Tensor) -> Tensor:
        """Turn uniform numbers inside (0, 1) into times, increasing in them; any shape."""


class Uniform(TimeDistribution):
    """Every time is as likely as any other."""

    def sample(self, uniforms: Tensor) -> Tensor:
        """The uniforms themselves."""
        return uniforms


class LogitNormal(TimeDistribution):
    """Times whose log-odds ``log(t / (1 − t))`` are normal: most of them in the middle, where predicting is hard.

    Source: "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis", 2024,
    https://arxiv.org/abs/2403.03206.

    Args:
        mean: mean of the log-odds; positive is towards data.
        std: standard deviation of the log-odds.
    """

    def __init__(self, mean: float = 0.0, std: float = 1.0) -> None:
        super().__init__()
        if std <= 0:
            raise ValueError(f"LogitNormal: std is above 0, got {std}")
        self.mean, self.std = mean, std

    def sample(self, uniforms: Tensor) -> Tensor:
        """Times with normal log-odds."""
        return torch.sigmoid(self.mean + self.std * torch.special.ndtri(uniforms))


class Shifted(TimeDistribution):
    """Another distribution, moved towards noise for long items; see `shift_times`.

    Args:
        distribution: what is moved.
        shift: how far; 1 is not at all, `shift_for_length` says how far for a length.
    """

    def __init__(self, distribution: TimeDistribution, shift: float) -> None:
        super().__init__()
        if shift <= 0:
            raise ValueError(f"Shifted: shift is above 0, got {shift}")
        self.distribution, self.shift = distribution, shift

    def sample(self, uniforms: Tensor) -> Tensor:
        """The other distribution's times, moved."""
        return shift_times(self.distribution.sample(uniforms), self.shift)
