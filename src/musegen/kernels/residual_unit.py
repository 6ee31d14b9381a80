"""A residual unit of Oobleck's decoder in one kernel: what lies between its two convolutions never leaves the chip."""

# Triton's launch takes options (num_warps …), and its tensors indices, that its types do not have.
# pyright: reportCallIssue=false, reportArgumentType=false
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TAPS = 7


@triton.jit
def _snake(x, frequency, gain):
    """``x + gain · sin²(frequency · x)``: a series on half a period, of which sin² has one every π."""
    turns = x * frequency * 0.3183098861837907
    z = (turns - tl.floor(turns + 0.5)) * 3.141592653589793
    z2 = z * z
    sine = z * (1.0 + z2 * (-0.16666667 + z2 * (0.0083333333 + z2 * (-0.00019841270 + z2 * 2.7557319e-6))))
    return x + gain * sine * sine


@triton.jit
def _residual_unit(
    x,
    first,
    first_bias,
    second,
    second_bias,
    scales,
    out,
    samples,
    DILATION: tl.constexpr,
    TAPS: tl.constexpr,
    CHANNELS: tl.constexpr,
    SOME: tl.constexpr,
    TIMES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    time = tl.program_id(0) * TIMES + tl.arange(0, TIMES)
    channel, part = tl.arange(0, CHANNELS), tl.arange(0, SOME)
    start = tl.program_id(1).to(tl.int64) * CHANNELS * samples
    total = tl.zeros((CHANNELS, TIMES), tl.float32)
    for begin in range(0, CHANNELS, SOME):
        some = begin + part
        frequency, gain = tl.load(scales + some)[:, None], tl.load(scales + CHANNELS + some)[:, None]
        for tap in range(TAPS):
            at = time + (tap - TAPS // 2) * DILATION
            there = ((at >= 0) & (at < samples))[None, :]
            heard = tl.load(x + start + some[:, None].to(tl.int64) * samples + at[None, :], there, 0.0)
            matrix = tl.load(first + tap * CHANNELS * CHANNELS + channel[:, None] * CHANNELS + some[None, :])
            bent = _snake(heard.to(tl.float32), frequency, gain).to(heard.dtype)
            total = tl.dot(matrix, bent, total, input_precision=PRECISION)
    scale = scales + 2 * CHANNELS + channel
    total = (total + tl.load(first_bias + channel).to(tl.float32)[:, None]).to(x.dtype.element_ty).to(tl.float32)
    bent = _snake(total, tl.load(scale)[:, None], tl.load(scale + CHANNELS)[:, None]).to(x.dtype.element_ty)
    matrix = tl.load(second + channel[:, None] * CHANNELS + channel[None, :])
    made = tl.dot(matrix, bent, input_precision=PRECISION)
    place = start + channel[:, None].to(tl.int64) * samples + time[None, :]
    there = (time < samples)[None, :]
    made += tl.load(second_bias + channel).to(tl.float32)[:, None] + tl.load(x + place, there, 0.0).to(tl.float32)
    tl.store(out + place, made.to(out.dtype.element_ty), there)


@torch.library.custom_op("musegen::residual_unit", mutates_args=())
def residual_unit(
    x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, scales: Tensor, dilation: int
) -> Tensor:
    """Snake, a dilated convolution of seven taps, snake, a pointwise convolution, and the input added.

    Args:
        x: ``[batch, channels, samples]``, contiguous; channels is a power of two from 16 to 256, of which a program
            holds all.
        first: the dilated convolution's weight, ``[7, channels out, channels in]``.
        first_bias: ``[channels]``.
        second: the pointwise one's weight, ``[channels out, channels in]``.
        second_bias: ``[channels]``.
        scales: frequency and gain of the first snake, then of the second, ``[4, channels]``, float32.
        dilation: samples between taps.

    Returns:
        ``[batch, channels, samples]``.
    """
    batch, channels, samples = x.shape
    out = torch.empty_like(x)
    times = 16 if samples < 64 else 128 if channels == 128 else 64
    _residual_unit[(triton.cdiv(samples, times), batch)](
        x,
        first,
        first_bias,
        second,
        second_bias,
        scales,
        out,
        samples,
        DILATION=dilation,
        TAPS=TAPS,
        CHANNELS=channels,
        SOME=min(64, channels),
        TIMES=times,
        PRECISION="ieee" if x.dtype == torch.float32 else "tf32",
        num_warps=8 if channels > 64 else 4,
        num_stages=2,
    )
    return out


@residual_unit.register_fake
def _(
    x: Tensor, first: Tensor, first_bias: Tensor, second: Tensor, second_bias: Tensor, scales: Tensor, dilation: int
) -> Tensor:
    return torch.empty_like(x)
