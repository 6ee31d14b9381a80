"""Products of a few rows with a large matrix: reading the matrix is what they cost, and what lies around is free."""

# Triton's launch takes options (num_warps …), and its tensors indices, that its types do not have.
# pyright: reportCallIssue=false, reportArgumentType=false
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 16
"""Most rows; as many as the smallest product of a tensor core has."""


@triton.jit
def _norm_linear(
    x,
    gamma,
    weight,
    bias,
    out,
    rows,
    features,
    eps,
    BIASED: tl.constexpr,
    GELU: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    EACH: tl.constexpr,
):
    row, column, place = tl.arange(0, ROWS)[:, None], tl.arange(0, EACH), tl.arange(0, CHUNK)[None, :]
    column += tl.program_id(0) * EACH
    there = (column < features)[:, None]
    total = tl.zeros((ROWS, CHUNK), tl.float32)
    for start in range(0, WIDTH, CHUNK):
        total += tl.load(x + row * WIDTH + start + place, row < rows, 0.0).to(tl.float32)
    mean = (tl.sum(total, 1) / WIDTH)[:, None]
    total = tl.zeros((ROWS, CHUNK), tl.float32)
    for start in range(0, WIDTH, CHUNK):
        apart = tl.load(x + row * WIDTH + start + place, row < rows, 0.0).to(tl.float32) - mean
        total += apart * apart
    scale = tl.rsqrt(tl.sum(total, 1) / WIDTH + eps)[:, None]
    made = tl.zeros((ROWS, EACH), tl.float32)
    for start in range(0, WIDTH, CHUNK):
        matrix = tl.load(weight + column[:, None].to(tl.int64) * WIDTH + start + place, there, 0.0)
        wide = tl.load(x + row * WIDTH + start + place, row < rows, 0.0).to(tl.float32)
        wide = (wide - mean) * scale * tl.load(gamma + start + place).to(tl.float32)
        made = tl.dot(wide.to(matrix.dtype), tl.trans(matrix), made, input_precision=PRECISION)
    if BIASED:
        made += tl.load(bias + column, column < features, 0.0).to(tl.float32)[None, :]
    if GELU:
        made = 0.5 * made * (1.0 + tl.erf(made * 0.7071067811865476))
    to = out + row * features + column[None, :]
    tl.store(to, made.to(out.dtype.element_ty), (row < rows) & (column < features)[None, :])


@triton.jit
def _linear_add(
    y,
    weight,
    bias,
    residual,
    other,
    out,
    rows,
    given,
    features,
    BIASED: tl.constexpr,
    OTHERS: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    EACH: tl.constexpr,
):
    row, column, place = tl.arange(0, ROWS)[:, None], tl.arange(0, EACH), tl.arange(0, CHUNK)[None, :]
    column += tl.program_id(0) * EACH
    real = (row < rows) & (column < features)[None, :]
    there = (column < features)[:, None]
    made = tl.load(residual + row * features + column[None, :], real, 0.0).to(tl.float32)
    if BIASED:
        made += tl.load(bias + column, column < features, 0.0).to(tl.float32)[None, :]
    if OTHERS:
        constant = tl.load(other + column, column < features, 0.0).to(tl.float32)[None, :]
        made += tl.where(row < given, 0.0, constant)
    total = tl.zeros((ROWS, EACH), tl.float32)
    for start in range(0, WIDTH, CHUNK):
        matrix = tl.load(weight + column[:, None].to(tl.int64) * WIDTH + start + place, there, 0.0)
        some = tl.load(y + row * WIDTH + start + place, row < given, 0.0)
        total = tl.dot(some, tl.trans(matrix), total, input_precision=PRECISION)
    tl.store(out + row * features + column[None, :], (made + total).to(out.dtype.element_ty), real)


@torch.library.custom_op("musegen::norm_linear", mutates_args=())
def norm_linear(x: Tensor, gamma: Tensor, eps: float, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    """Normalise up to 16 rows, scale by ``gamma``, multiply by a matrix, and bend by a GELU where it is asked for.

    Args:
        x: ``[rows, width]``, contiguous; the width is a multiple of 16.
        gamma: ``[width]``.
        eps: added to the variance.
        weight: ``[features, width]``, contiguous.
        bias: ``[features]`` or None.
        gelu: whether.

    Returns:
        ``[rows, features]`` in the dtype of the weight.
    """
    rows, width = x.shape
    features = weight.shape[0]
    out = torch.empty(rows, features, dtype=weight.dtype, device=x.device)
    each = 32 if features >= 2048 else 16
    _norm_linear[(triton.cdiv(features, each),)](
        x,
        gamma,
        weight,
        gamma if bias is None else bias,
        out,
        rows,
        features,
        eps,
        BIASED=bias is not None,
        GELU=gelu,
        PRECISION=_precision(weight),
        ROWS=ROWS,
        WIDTH=width,
        CHUNK=min(256, width & -width),
        EACH=each,
        num_warps=4,
        num_stages=4,
    )
    return out


@norm_linear.register_fake
def _(x: Tensor, gamma: Tensor, eps: float, weight: Tensor, bias: Tensor | None, gelu: bool) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[0], dtype=weight.dtype)


@torch.library.custom_op("musegen::linear_add", mutates_args=())
def linear_add(y: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor, other: Tensor | None) -> Tensor:
    """Multiply up to 16 rows by a matrix and add them to others; rows beyond those of ``y`` are added a constant.

    Args:
        y: ``[given rows, width]``, contiguous; the width is a multiple of 16.
        weight: ``[features, width]``, contiguous.
        bias: ``[features]`` or None; every row is added it.
        residual: ``[rows, features]``, contiguous.
        other: what the rows are added that ``y`` does not have, ``[features]``; None for nothing.

    Returns:
        ``[rows, features]`` in the dtype of the residual.
    """
    given, width = y.shape
    rows, features = residual.shape
    out = torch.empty_like(residual)
    chunk = min(256, width & -width)
    _linear_add[(triton.cdiv(features, 16),)](
        y,
        weight,
        weight if bias is None else bias,
        residual,
        weight if other is None else other,
        out,
        rows,
        given,
        features,
        BIASED=bias is not None,
        OTHERS=other is not None,
        PRECISION=_precision(weight),
        ROWS=ROWS,
        WIDTH=width,
        CHUNK=chunk,
        EACH=16,
        num_warps=4,
        num_stages=4 if width > chunk else 1,
    )
    return out


@linear_add.register_fake
def _(y: Tensor, weight: Tensor, bias: Tensor | None, residual: Tensor, other: Tensor | None) -> Tensor:
    return torch.empty_like(residual)


def _precision(weight: Tensor) -> str:
    return "ieee" if weight.dtype == torch.float32 else "tf32"
