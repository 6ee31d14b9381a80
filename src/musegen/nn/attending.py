"""Which implementation computes attention."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LONG = 256
"""Tokens from which cuDNN's attention is worth its launch."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, fast: bool = False) -> Tensor:
    """Scaled dot-product attention.

    Args:
        queries: ``[batch, heads, tokens, head_dim]``.
        keys: likewise, of as many tokens as there are to read.
        values: likewise.
        mask: True where a token may be read, ``[batch, 1, 1, tokens]``; None where all may.
        fast: choose among our own kernel and cuDNN's where they apply; for inference on a GPU.

    Returns:
        ``[batch, tokens, heads · head_dim]``.
    """
    if fast and not torch.is_grad_enabled():
        from musegen.kernels.small_attention import fits, small_attention

        if fits(queries, keys):
            return small_attention(queries, keys, values, mask)
        if mask is None and queries.is_cuda and queries.dtype != torch.float32 and keys.shape[2] >= LONG:
            return long_attention(queries, keys, values)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask).transpose(1, 2).flatten(2)


@torch.library.custom_op("musegen::long_attention", mutates_args=())
def long_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention by cuDNN, named outright: a compiler chooses among implementations when it traces, by its own order."""
    try:
        made = torch.ops.aten._scaled_dot_product_cudnn_attention(queries, keys, values, None, False)[0]
    except RuntimeError:
        made = F.scaled_dot_product_attention(queries, keys, values)
    return made.transpose(1, 2).flatten(2).contiguous()


@long_attention.register_fake
def _(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    batch, heads, tokens, width = queries.shape
    return queries.new_empty(batch, tokens, heads * width)
