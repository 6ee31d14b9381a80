"""Bring data to zero mean and unit spread, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.nn.precise import Precise


class Standardiser(Precise):
    """Per-channel mean and standard deviation of the data, kept in the checkpoint. Begins as the identity.

    Args:
        channels: size of the axis after the batch: 512 of an embedding ``[batch, 512]``, 64 of latents
            ``[batch, 64, frames]``.
        isotropic: divide every channel by one number, the root mean square of their deviations, so that angles between
            centred items stay what they were.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, isotropic: bool = False) -> None:
        super().__init__()
        self.isotropic = isotropic
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    @torch.no_grad()
    def set(self, mean: Tensor | float, std: Tensor | float) -> None:
        """Take measured statistics, ``[channels]`` or one number for all.

        Raises:
            ValueError: if a shape does not fit, a value is not finite, or a deviation is not positive.
        """
        channels = self.mean.shape[0]
        measured = []
        for name, value in (("mean", mean), ("std", std)):
            statistic = torch.as_tensor(value, dtype=torch.float64, device="cpu")
            if statistic.shape not in ((), (channels,)):
                raise ValueError(f"{name}: expected one number or {channels}, got shape {tuple(statistic.shape)}")
            if not bool(statistic.isfinite().all()) or (name == "std" and not bool((statistic > 0).all())):
                wanted = "positive finite" if name == "std" else "finite"
                raise ValueError(f"{name}: expected {wanted} numbers, got {statistic.min()} to {statistic.max()}")
            measured.append(statistic.expand(channels))
        center, spread = measured
        if self.isotropic:
            spread = spread.square().mean().sqrt().expand(channels)
        self.mean.copy_(center)
        self.std.copy_(spread)

    def standardise(self, x: Tensor) -> Tensor:
        """Data ``[batch, channels, ...]`` → zero mean and unit spread, in the dtype of ``x``."""
        return ((x.float() - self._like(self.mean, x)) / self._like(self.std, x)).to(x.dtype)

    def restore(self, x: Tensor) -> Tensor:
        """The inverse of `standardise`."""
        return (x.float() * self._like(self.std, x) + self._like(self.mean, x)).to(x.dtype)

    @staticmethod
    def _like(statistic: Tensor, x: Tensor) -> Tensor:
        """Give ``[channels]`` as many axes as ``x`` has after its batch."""
        return statistic.reshape(statistic.shape + (1,) * (x.ndim - 2))
