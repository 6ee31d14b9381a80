"""What a variational encoder says of its latents."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Posterior:
    """A diagonal Gaussian for each number of the latents.

    Args:
        mean: ``[batch, channels, frames]``.
        std: ``[batch, channels, frames]``, positive.
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def from_parameters(parameters: Tensor) -> Posterior:
        """Split an encoder's output ``[batch, 2 · channels, frames]``: mean, and std = softplus(scale) + 1e-4."""
        mean, scale = parameters.chunk(2, dim=1)
        return Posterior(mean, F.softplus(scale) + 1e-4)

    def sample(self, noise: Tensor) -> Tensor:
        """Latents ``[batch, channels, frames]``, from standard normal noise of that shape."""
        return self.mean + self.std * noise

    def kl(self) -> Tensor:
        """Twice the Kullback-Leibler divergence from a standard normal, ``[batch]``.

        Summed over channels, mean over frames; twice, because the published autoencoders' weights are for the sum
        without its factor of a half.
        """
        variance = self.std.square()
        return (self.mean.square() + variance - variance.log() - 1).sum(1).mean(-1)
