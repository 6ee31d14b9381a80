"""One layer of a conditioned transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musegen.nn.attention import CrossAttention, Memory, QKNorm, SelfAttention
from musegen.nn.norms import LayerNorm
from musegen.nn.rotary import Rotation


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward, each normalised before and added after.

    All three begin by adding nothing.

    Args:
        dim: width of a token.
        heads: heads of queries.
        context_dim: width of a token of the condition.
        kv_heads: heads of keys and values in cross-attention.
        feed_forward: what is done to each token by itself, ``[..., dim]`` → ``[..., dim]``.
        qk_norm: whether queries and keys are normalised.
    """

    def __init__(
        self, dim: int, heads: int, context_dim: int, kv_heads: int, feed_forward: nn.Module, qk_norm: QKNorm = "none"
    ) -> None:
        super().__init__()
        self.pre_norm = LayerNorm(dim)
        self.self_attn = SelfAttention(dim, heads, qk_norm)
        self.cross_attend_norm = LayerNorm(dim)
        self.cross_attn = CrossAttention(dim, heads, context_dim, kv_heads, qk_norm)
        self.ff_norm = LayerNorm(dim)
        self.ff = feed_forward

    def forward(self, x: Tensor, memory: Memory, rotation: Rotation | None, mask: Tensor | None) -> Tensor:
        """Map tokens ``[batch, tokens, dim]`` to the same shape; see `SelfAttention` for rotation and mask."""
        x = x + self.self_attn(self.pre_norm(x), rotation, mask)
        x = self._read(x, memory)
        return x + self.ff(self.ff_norm(x))

    def _read(self, x: Tensor, memory: Memory) -> Tensor:
        """Add what cross-attention reads to the items that have a memory, and its constant to the others."""
        told = memory.keys.shape[0]
        if told == x.shape[0]:
            return x + self.cross_attn(self.cross_attend_norm(x), memory)
        first, others = x[:told], x[told:]
        first = first + self.cross_attn(self.cross_attend_norm(first), memory)
        if memory.constant is not None:
            others = others + memory.constant
        return torch.cat((first, others))
