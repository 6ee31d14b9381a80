"""The periodic activation of audio autoencoders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from musegen.kernels.available import why_not

TINY = 1e-9  # of the published networks, in the denominator
ONE_KERNEL = True
"""Train on a GPU with a kernel of our own: the same to rounding, in fewer passes over memory."""


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
        return _SnakeBeta.apply(x, self.alpha, self.beta, _in_one_kernel(x))  # type: ignore[no-any-return]


def _scales(alpha: Tensor, beta: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """α, β and 1/β as ``[channels, 1]``, in the dtype to compute in."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    frequency, scale = alpha.to(dtype).exp().unsqueeze(-1), beta.to(dtype).exp().unsqueeze(-1)
    return frequency, scale, 1 / (scale + TINY)


class _SnakeBeta(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, beta: Tensor, one_kernel: bool) -> Tensor:
        ctx.save_for_backward(x, alpha, beta)
        ctx.one_kernel = one_kernel
        frequency, scale, gain = _scales(alpha, beta, x)
        if one_kernel:
            from musegen.kernels.snake import snake

            return snake(x, torch.cat([frequency, scale, gain], 1).t().contiguous())
        wave = (x * frequency).sin_().square_()
        return wave.mul_(gain).add_(x).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None]:
        x, alpha, beta = ctx.saved_tensors
        frequency, scale, gain = _scales(alpha, beta, x)
        if ctx.one_kernel:
            from musegen.kernels.snake import snake_gradients

            scales = torch.cat([frequency, scale, gain], 1).t().contiguous()
            of_x, (of_alpha, of_beta) = snake_gradients(x, scales, gradients[0])
            return of_x, of_alpha.to(alpha.dtype), of_beta.to(beta.dtype), None
        gradient = gradients[0].to(frequency.dtype)
        phase = x * frequency
        sine = phase.sin()
        slope = phase.cos_().mul_(sine).mul_(2 * gain)  # sin(2 α x) / β
        of_beta = (sine.square_().mul_(gradient)).sum((0, 2)) * -(scale * gain.square()).squeeze(-1)
        slope.mul_(gradient)
        of_alpha = (slope * x).sum((0, 2)) * frequency.squeeze(-1)
        of_x = slope.mul_(frequency).add_(gradient)
        return of_x.to(x.dtype), of_alpha.to(alpha.dtype), of_beta.to(beta.dtype), None


def _in_one_kernel(x: Tensor) -> bool:
    """Whether our own kernel is to compute this: training on a GPU spends most of a step on passes over memory.

    Inference keeps torch's operations, whose bits do not depend on whether Triton is there; a compiler makes its own.
    """
    if not (ONE_KERNEL and torch.is_grad_enabled()) or torch.compiler.is_compiling():
        return False
    dense = x.ndim == 3 and (x.is_contiguous() or x.transpose(1, 2).is_contiguous())
    return dense and x.dtype != torch.double and why_not(x.device) is None
