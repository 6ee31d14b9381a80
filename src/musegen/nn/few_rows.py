"""A block for a handful of tokens, whose cost is to read its weights: eight launches, each of which reads a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from musegen.nn.attention import Memory
from musegen.nn.feedforward import MLP

if TYPE_CHECKING:
    from musegen.nn.block import Block


def takes(block: Block, x: Tensor) -> bool:
    """Whether `run` computes what a block does: plain attention, and a GELU between the layers of the feed-forward."""
    from musegen.kernels.skinny import ROWS

    return (
        isinstance(block.ff, MLP)
        and isinstance(block.self_attn.to_qkv, nn.Linear)  # and no quantised one in its place
        and isinstance(block.self_attn.q_norm, nn.Identity)
        and x.shape[0] * x.shape[1] <= ROWS
        and x.shape[2] % 16 == 0
        and block.self_attn.head_dim in (16, 32, 64, 128)
        and not torch.is_grad_enabled()
    )


def run(block: Block, x: Tensor, memory: Memory) -> Tensor:
    """What the block makes of up to 16 tokens in all, ``[batch, tokens, dim]``."""
    from musegen.kernels.skinny import linear_add, norm_linear
    from musegen.kernels.small_attention import small_attention

    own, cross = block.self_attn, block.cross_attn
    batch, tokens, dim = x.shape
    rows = x.reshape(-1, dim)
    norm = block.pre_norm
    qkv = norm_linear(rows, norm.gamma, norm.eps, own.to_qkv.weight, None, False)
    queries, keys, values = qkv.view(batch, tokens, 3, own.heads, own.head_dim).permute(2, 0, 3, 1, 4)
    heard = small_attention(queries, keys, values, None)
    rows = linear_add(heard.view(-1, dim), own.to_out.weight, None, rows, None)

    told = memory.keys.shape[0]
    norm = block.cross_attend_norm
    asked = norm_linear(rows[: told * tokens], norm.gamma, norm.eps, cross.to_q.weight, None, False)
    queries = asked.view(told, tokens, cross.heads, cross.head_dim).transpose(1, 2)
    heard = small_attention(queries, memory.keys, memory.values, memory.mask)
    constant = None if memory.constant is None or told == batch else memory.constant.flatten()
    rows = linear_add(heard.view(-1, dim), cross.to_out.weight, None, rows, constant)

    feed_forward: Any = block.ff
    wide, _, narrow = feed_forward.ff
    norm = block.ff_norm
    inner = norm_linear(rows, norm.gamma, norm.eps, wide.weight, wide.bias, True)
    return linear_add(inner, narrow.weight, narrow.bias, rows, None).view(batch, tokens, dim)
