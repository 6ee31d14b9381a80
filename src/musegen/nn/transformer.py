"""A stack of blocks with rotary positions between two projections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musegen.nn.attention import Memory, QKNorm
from musegen.nn.block import Block
from musegen.nn.feedforward import SwiGLU, modulator, zeroed
from musegen.nn.rotary import RotaryEmbedding
from musegen.nn.stack import Stack


class Transformer(nn.Module):
    """The transformer of Stable Audio: SwiGLU blocks, half of each head rotary.

    Args:
        channels: width of a frame, in and out.
        dim: width of a token.
        depth: how many blocks.
        heads: heads of queries.
        context_dim: width of a token of the condition.
        kv_heads: heads of keys and values in cross-attention.
        qk_norm: whether queries and keys are normalised.
        gradient_checkpointing: compute the inside of each block again for the gradient instead of keeping it.
        modulated: whether blocks are told of the whole item.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        depth: int,
        heads: int,
        context_dim: int,
        kv_heads: int,
        qk_norm: QKNorm = "none",
        gradient_checkpointing: bool = False,
        modulated: bool = False,
    ) -> None:
        super().__init__()
        head_dim = dim // heads
        self.rotary_pos_emb = RotaryEmbedding(min(head_dim, max(head_dim // 2, 32)))
        self.project_in = nn.Linear(channels, dim, bias=False)
        self.global_cond_embedder = modulator(dim) if modulated else None
        blocks = (Block(dim, heads, context_dim, kv_heads, SwiGLU(dim), qk_norm, modulated) for _ in range(depth))
        self.layers = Stack(blocks, gradient_checkpointing)
        self.project_out = zeroed(nn.Linear(dim, channels, bias=False))

    def forward(self, x: Tensor, whole: Tensor, memory: tuple[Memory, ...], mask: Tensor | None = None) -> Tensor:
        """Map frames ``[batch, frames, channels]`` to the same shape.

        Args:
            x: frames.
            whole: what is known of the whole item, ``[batch, dim]``: it modulates the blocks, or is put before the
                frames as one more token, and taken off again.
            memory: what ``layers.memories`` returned.
            mask: True where a frame is real, ``[batch, frames]``; None where all are.
        """
        tokens = self.project_in(x)
        if self.global_cond_embedder is not None:
            modulation = self.global_cond_embedder(whole)
            tokens = self.layers(tokens, memory, self.rotary_pos_emb(tokens.shape[1]), mask, modulation)
            return self.project_out(tokens.to(x.dtype))
        tokens = torch.cat((whole[:, None], tokens), dim=1)
        if mask is not None:
            mask = F.pad(mask, (1, 0), value=True)
        tokens = self.layers(tokens, memory, self.rotary_pos_emb(tokens.shape[1]), mask)
        return self.project_out(tokens[:, 1:].to(x.dtype))
