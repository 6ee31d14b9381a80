"""The periodic activation of audio autoencoders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

TINY = 1e-9  # of the published networks, in the denominator


class SnakeBeta(nn.Module):
    """``x + sin²(α x) / β`` with a frequency α and a magnitude 1/β for each channel, stored as logarithms.

    Computed in float32 at least, returned in the input's dtype. Forward works in one buffer and backward keeps only the
    input, so that eager mode passes over memory a third as often as the formula written plainly; the values are the
    same bits.

    "Neural Networks Fail to Learn Periodic Functions and How to Fix It", 2020, https://arxiv.org/abs/2006.08195;
    "BigVGAN: A Universal Neural Vocoder with Large-Scale Training", 2022, https://arxiv.org/abs/2206.04658.

    Args:
        channels: of the input ``[batch, channels, samples]``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, channels, samples]`` to the same."""
        return _SnakeBeta.apply(x, self.alpha, self.beta)  # type: ignore[no-any-return]


def _scales(alpha: Tensor, beta: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """α, β and 1/β as ``[channels, 1]``, in the dtype to compute in."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    frequency, scale = alpha.to(dtype).exp().unsqueeze(-1), beta.to(dtype).exp().unsqueeze(-1)
    return frequency, scale, 1 / (scale + TINY)


class _SnakeBeta(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        ctx.save_for_backward(x, alpha, beta)
        frequency, _, gain = _scales(alpha, beta, x)
        wave = (x * frequency).sin_().square_()
        return wave.mul_(gain).add_(x).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        x, alpha, beta = ctx.saved_tensors
        frequency, scale, gain = _scales(alpha, beta, x)
        gradient = gradients[0].to(frequency.dtype)
        phase = x * frequency
        sine = phase.sin()
        slope = phase.cos_().mul_(sine).mul_(2 * gain)  # sin(2 α x) / β
        of_beta = (sine.square_().mul_(gradient)).sum((0, 2)) * -(scale * gain.square()).squeeze(-1)
        slope.mul_(gradient)
        of_alpha = (slope * x).sum((0, 2)) * frequency.squeeze(-1)
        of_x = slope.mul_(frequency).add_(gradient)
        return of_x.to(x.dtype), of_alpha.to(alpha.dtype), of_beta.to(beta.dtype)
