"""One layer of a conditioned transformer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musegen.nn.attention import CrossAttention, Memory, QKNorm, SelfAttention
from musegen.nn.norms import LayerNorm
from musegen.nn.rotary import Rotation


class Block(nn.Module):
    """Self-attention, cross-attention and feed-forward, each normalised before and added after.

    All three begin by adding nothing. A modulated block is told of the whole item besides: by it, self-attention and
    feed-forward have what they read scaled and shifted, and what they add gated. Names and formula of the gate are
    stable-audio-tools', under ``adaLN``.

    Source: Peebles and Xie, Scalable Diffusion Models with Transformers, 2022, https://arxiv.org/abs/2212.09748.

    Args:
        dim: width of a token.
        heads: heads of queries.
        context_dim: width of a token of the condition.
        kv_heads: heads of keys and values in cross-attention.
        feed_forward: what is done to each token by itself, ``[..., dim]`` → ``[..., dim]``.
        qk_norm: whether queries and keys are normalised.
        modulated: whether it takes a modulation.
    """

    few_rows = False
    """Whether a handful of tokens runs through kernels of their own, for inference on a GPU."""

    def __init__(
        self,
        dim: int,
        heads: int,
        context_dim: int,
        kv_heads: int,
        feed_forward: nn.Module,
        qk_norm: QKNorm = "none",
        modulated: bool = False,
    ) -> None:
        super().__init__()
        self.pre_norm = LayerNorm(dim)
        self.self_attn = SelfAttention(dim, heads, qk_norm)
        self.cross_attend_norm = LayerNorm(dim)
        self.cross_attn = CrossAttention(dim, heads, context_dim, kv_heads, qk_norm)
        self.ff_norm = LayerNorm(dim)
        self.ff = feed_forward
        self.to_scale_shift_gate = nn.Parameter(torch.zeros(6 * dim)) if modulated else None

    def forward(
        self,
        x: Tensor,
        memory: Memory,
        rotation: Rotation | None,
        mask: Tensor | None,
        modulation: Tensor | None = None,
    ) -> Tensor:
        """Map tokens ``[batch, tokens, dim]`` to the same shape; see `SelfAttention` for rotation and mask.

        A modulated block takes a modulation, ``[batch, 6 · dim]``, to which it adds its own.

        Raises:
            ValueError: if a modulated block gets none.
        """
        if self.to_scale_shift_gate is not None:
            if modulation is None:
                raise ValueError("modulation: expected one for each item, as the block is modulated, got none")
            own = (self.to_scale_shift_gate + modulation)[:, None]
            scale, shift, gate, ff_scale, ff_shift, ff_gate = own.chunk(6, dim=-1)
            heard = self.self_attn(self.pre_norm(x) * (1 + scale) + shift, rotation, mask)
            x = self._read(x + heard * torch.sigmoid(1 - gate), memory)
            return x + self.ff(self.ff_norm(x) * (1 + ff_scale) + ff_shift) * torch.sigmoid(1 - ff_gate)
        if self.few_rows and rotation is None and mask is None:
            from musegen.nn.few_rows import run, takes

            if takes(self, x):
                return run(self, x, memory)
        x = x + self.self_attn(self.pre_norm(x), rotation, mask)
        x = self._read(x, memory)
        return x + self.ff(self.ff_norm(x))

    def _read(self, x: Tensor, memory: Memory) -> Tensor:
        """Add what cross-attention reads to the items that have a memory, and its constant to the others."""
        told = memory.keys.shape[0]
        if told == x.shape[0]:
            return x + self.cross_attn(self.cross_attend_norm(x), memory)
        # normalised as a whole and padded rather than cut and joined: what a compiler fuses with its neighbours
        read = F.pad(self.cross_attn(self.cross_attend_norm(x)[:told], memory), (0, 0, 0, 0, 0, x.shape[0] - told))
        if memory.constant is not None:
            constant = memory.constant.expand(x.shape[0] - told, 1, -1)
            read = read + F.pad(constant, (0, 0, 0, 0, told, 0))
        return x + read
