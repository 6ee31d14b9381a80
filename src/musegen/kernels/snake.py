"""The periodic activation forward and backward, each in one pass over memory, for training."""

# Triton's launch takes options (num_warps …), and its tensors indices, that its types do not have.
# pyright: reportCallIssue=false, reportArgumentType=false, reportIndexIssue=false
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE = 2048
"""Values that a program computes at once."""


@triton.jit
def _forward(
    x, scales, out, channels, samples, by_item, by_channel, by_sample, CHANNELS: tl.constexpr, SAMPLES: tl.constexpr
):
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    time = tl.program_id(0) * SAMPLES + tl.arange(0, SAMPLES)
    there = (channel < channels)[:, None] & (time < samples)[None, :]
    at = tl.program_id(2).to(tl.int64) * by_item + channel[:, None] * by_channel + time[None, :] * by_sample
    frequency = tl.load(scales + channel, channel < channels, 1.0)[:, None]
    gain = tl.load(scales + 2 * channels + channel, channel < channels, 1.0)[:, None]
    value = tl.load(x + at, there, 0.0).to(tl.float32)
    wave = tl.sin(value * frequency)
    tl.store(out + at, (value + gain * wave * wave).to(out.dtype.element_ty), there)


@triton.jit
def _backward(
    x,
    scales,
    gradient,
    of_x,
    of_scales,
    channels,
    samples,
    by_item,
    by_channel,
    by_sample,
    CHANNELS: tl.constexpr,
    SAMPLES: tl.constexpr,
):
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    time = tl.program_id(0) * SAMPLES + tl.arange(0, SAMPLES)
    known = channel < channels
    there = known[:, None] & (time < samples)[None, :]
    at = tl.program_id(2).to(tl.int64) * by_item + channel[:, None] * by_channel + time[None, :] * by_sample
    frequency = tl.load(scales + channel, known, 1.0)
    scale = tl.load(scales + channels + channel, known, 1.0)
    gain = tl.load(scales + 2 * channels + channel, known, 1.0)
    value = tl.load(x + at, there, 0.0).to(tl.float32)
    above = tl.load(gradient + at, there, 0.0).to(tl.float32)
    phase = value * frequency[:, None]
    sine, cosine = tl.sin(phase), tl.cos(phase)
    slope = 2.0 * gain[:, None] * sine * cosine * above  # of the phase
    tl.store(of_x + at, (above + slope * frequency[:, None]).to(of_x.dtype.element_ty), there)
    of_alpha = tl.sum(slope * value, 1) * frequency
    of_beta = tl.sum(-above * sine * sine, 1) * scale * gain * gain
    part = (tl.program_id(2) * tl.num_programs(0) + tl.program_id(0)).to(tl.int64) * 2 * channels + channel
    tl.store(of_scales + part, of_alpha, known)
    tl.store(of_scales + part + channels, of_beta, known)


def _tiles(x: Tensor) -> tuple[tuple[int, int, int], dict[str, int]]:
    """Programs and the tile of each: along the axis that is innermost in memory, so that neighbours read neighbours."""
    items, channels, samples = x.shape
    wide = min(1 << (channels - 1).bit_length(), 64) if x.stride(1) == 1 else 1
    tile = {"CHANNELS": wide, "SAMPLES": TILE // wide}
    return (-(-samples // tile["SAMPLES"]), -(-channels // wide), items), tile


def snake(x: Tensor, scales: Tensor) -> Tensor:
    """``x + gain · sin²(frequency · x)``, computed in float32.

    Args:
        x: ``[batch, channels, samples]``, without holes in memory.
        scales: frequency, scale and gain (about 1 / scale), float32 ``[3, channels]``.

    Returns:
        The same shape, strides and dtype as ``x``.
    """
    out = torch.empty_like(x)
    programs, tile = _tiles(x)
    _forward[programs](x, scales, out, *x.shape[1:], *x.stride(), **tile)
    return out


def snake_gradients(x: Tensor, scales: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of `snake`.

    Args:
        x: as there.
        scales: as there.
        gradient: of the result, ``[batch, channels, samples]``.

    Returns:
        The gradient of ``x``, and those of the logarithms of frequency and scale, float32 ``[2, channels]``. Sums are
        made in a fixed order.
    """
    if gradient.stride() != x.stride():
        gradient = torch.empty_like(x, dtype=gradient.dtype).copy_(gradient)
    of_x = torch.empty_like(x)
    programs, tile = _tiles(x)
    parts = torch.empty(programs[0] * programs[2], 2, x.shape[1], dtype=torch.float32, device=x.device)
    _backward[programs](x, scales, gradient, of_x, parts, *x.shape[1:], *x.stride(), **tile)
    return of_x, parts.sum(0)
