"""Layer normalisation with a learned scale and no learned shift."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LayerNorm(nn.Module):
    """Normalise the last axis, then scale by a learned ``gamma``.

    ``beta`` is a buffer of zeros: stable-audio-tools' checkpoints carry it, nothing trains it.

    Source: Ba et al., Layer Normalization, 2016, https://arxiv.org/abs/1607.06450.

    Args:
        dim: width of the last axis.
        eps: added to the variance.
    """

    beta: Tensor

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))
        self.register_buffer("beta", torch.zeros(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[..., dim]`` and return it in the narrower dtype of ``x`` and the scale."""
        dtype = x.dtype if x.dtype.itemsize <= self.gamma.dtype.itemsize else self.gamma.dtype
        gamma, beta = self.gamma, self.beta
        if dtype != x.dtype:  # what runs through a network is wider than its weights: see `Stack`
            gamma, beta = gamma.to(x.dtype), beta.to(x.dtype)
        # the kernel itself computes in float32, also where it reads and writes half precision
        return F.layer_norm(x, x.shape[-1:], gamma, beta, self.eps).to(dtype)
