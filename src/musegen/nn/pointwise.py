"""A correction of each frame by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PointwiseResidual(nn.Module):
    """Add to every frame a linear map of it, which begins at zero.

    The weight has the shape of a convolution of width 1, as in published checkpoints, but is applied as the matrix that
    it is: frames need not be transposed for it, and no convolution kernel is to be chosen.

    Args:
        channels: width of a frame.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map frames ``[batch, frames, channels]`` to the same shape."""
        return x + F.linear(x, self.weight[:, :, 0])
