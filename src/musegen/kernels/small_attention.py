"""Attention from a few tokens to a few: one program for each item and head, one launch for all of them."""

# Triton's launch takes options (num_warps …), and its tensors indices, that its types do not have.
# pyright: reportCallIssue=false, reportArgumentType=false
from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

MOST_QUERIES, MOST_KEYS = 16, 128


@triton.jit
def _attend(
    queries,
    keys,
    values,
    mask,
    out,
    scale,
    query_item,
    query_head,
    query_token,
    key_item,
    key_head,
    key_token,
    value_item,
    value_head,
    value_token,
    mask_item,
    asking,
    asked,
    heads,
    MASKED: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    WIDTH: tl.constexpr,
):
    item, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    row, column, place = tl.arange(0, ROWS)[:, None], tl.arange(0, COLUMNS), tl.arange(0, WIDTH)[None, :]
    there = (column < asked)[:, None]
    q = tl.load(queries + item * query_item + head * query_head + row * query_token + place, row < asking, 0.0)
    k = tl.load(keys + item * key_item + head * key_head + column[:, None] * key_token + place, there, 0.0)
    v = tl.load(values + item * value_item + head * value_head + column[:, None] * value_token + place, there, 0.0)
    read = column < asked
    if MASKED:
        read = read & (tl.load(mask + item * mask_item + column, read, 0) != 0)
    scores = tl.dot(q, tl.trans(k), input_precision=PRECISION) * (scale * 1.4426950408889634)
    scores = tl.where(read[None, :], scores, float("-inf"))
    weights = tl.exp2(scores - tl.max(scores, 1)[:, None])
    made = tl.dot(weights.to(v.dtype), v, input_precision=PRECISION) / tl.sum(weights, 1)[:, None]
    to = out + (item * asking + row) * heads * WIDTH + head * WIDTH + place
    tl.store(to, made.to(out.dtype.element_ty), row < asking)


@torch.library.custom_op("musegen::small_attention", mutates_args=())
def small_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attend as `torch.nn.functional.scaled_dot_product_attention` does.

    Args:
        queries: ``[batch, heads, up to 16 tokens, head_dim]``; head_dim is a power of two from 16 to 128.
        keys: ``[batch, heads, up to 128 tokens, head_dim]``.
        values: likewise.
        mask: True where a token may be read, at least one an item, ``[batch, 1, 1, tokens]``; None where all may.

    Returns:
        ``[batch, tokens, heads · head_dim]``, contiguous.
    """
    batch, heads, asking, width = queries.shape
    out = queries.new_empty(batch, asking, heads * width)
    told = queries if mask is None else mask.view(torch.uint8)
    _attend[(batch, heads)](
        queries,
        keys,
        values,
        told,
        out,
        width**-0.5,
        *queries.stride()[:3],
        *keys.stride()[:3],
        *values.stride()[:3],
        0 if mask is None else mask.stride(0),
        asking,
        keys.shape[2],
        heads,
        MASKED=mask is not None,
        PRECISION="ieee" if queries.dtype == torch.float32 else "tf32",
        ROWS=MOST_QUERIES,
        COLUMNS=max(16, triton.next_power_of_2(keys.shape[2])),
        WIDTH=width,
        num_warps=1 if keys.shape[2] <= 32 else 4,
    )
    return out


@small_attention.register_fake
def _(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    batch, heads, asking, width = queries.shape
    return queries.new_empty(batch, asking, heads * width)


def fits(queries: Tensor, keys: Tensor) -> bool:
    """Whether shapes are such as `small_attention` takes."""
    width = queries.shape[-1]
    return (
        queries.shape[2] <= MOST_QUERIES
        and keys.shape[2] <= MOST_KEYS
        and queries.shape[:2] == keys.shape[:2]
        and 16 <= width <= 128
        and width & (width - 1) == 0
        and queries.stride(-1) == keys.stride(-1) == 1
    )
