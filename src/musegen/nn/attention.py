"""Attention within a sequence, and from a sequence to what conditions it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from musegen.nn.attending import attend
from musegen.nn.feedforward import zeroed
from musegen.nn.rotary import Rotation, rotate

QKNorm = Literal["none", "layer"]
"""Whether queries and keys are normalised: not at all, or each head by a LayerNorm."""


class Memory(NamedTuple):
    """What one layer's cross-attention reads; constant over the steps of a sampler.

    It may be of fewer items than there are: those behind them read nothing, and are given a constant.

    Args:
        keys: ``[batch, heads, tokens, head_dim]``, normalised already where the layer normalises keys.
        values: ``[batch, heads, tokens, head_dim]``.
        mask: True where a token may be read, ``[batch, 1, 1, tokens]``; None where every token may.
        constant: what items that read nothing are given, ``[1, 1, dim]``; None for zeros.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor | None
    constant: Tensor | None = None


class _Attention(nn.Module):
    """The parts that both kinds of attention share."""

    fast = False
    """Whether `attend` may choose kernels for inference on a GPU."""

    def __init__(self, dim: int, heads: int, qk_norm: QKNorm) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads: expected a divisor of dim {dim}, got {heads}")
        if qk_norm not in ("none", "layer"):
            raise ValueError(f"qk_norm: expected 'none' or 'layer', got {qk_norm!r}")
        self.heads = heads
        self.head_dim = dim // heads
        self.to_out = zeroed(nn.Linear(dim, dim, bias=False))
        if qk_norm == "layer":
            self.q_norm = nn.LayerNorm(self.head_dim, eps=1e-6)
            self.k_norm = nn.LayerNorm(self.head_dim, eps=1e-6)
        else:
            self.q_norm = self.k_norm = nn.Identity()

    def _split(self, x: Tensor) -> Tensor:
        """``[batch, tokens, heads · head_dim]`` → ``[batch, heads, tokens, head_dim]``."""
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        return self.to_out(attend(queries, keys, values, mask, self.fast))


class SelfAttention(_Attention):
    """Every token reads every token. The output projection begins at zero.

    Source: Vaswani et al., Attention Is All You Need, 2017, https://arxiv.org/abs/1706.03762; normalised queries and
    keys: Dehghani et al., Scaling Vision Transformers to 22 Billion Parameters, 2023, https://arxiv.org/abs/2302.05442.

    Args:
        dim: width of a token.
        heads: how many heads share it.
        qk_norm: whether queries and keys are normalised.
    """

    def __init__(self, dim: int, heads: int, qk_norm: QKNorm = "none") -> None:
        super().__init__(dim, heads, qk_norm)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)

    def forward(self, x: Tensor, rotation: Rotation | None = None, mask: Tensor | None = None) -> Tensor:
        """Map ``[batch, tokens, dim]`` to the same shape.

        Args:
            x: tokens.
            rotation: their positions; None without rotary positions.
            mask: True where a token may be read, ``[batch, 1, 1, tokens]``; None where every token may.
        """
        parts = self.to_qkv(x).unflatten(-1, (3, self.heads, self.head_dim))  # [batch, tokens, 3, heads, head_dim]
        both, values = parts[:, :, :2], parts[:, :, 2]
        if not isinstance(self.q_norm, nn.Identity):
            both = torch.stack((self.q_norm(both[:, :, 0]), self.k_norm(both[:, :, 1])), dim=2).to(values.dtype)
        if rotation is not None:
            # tokens stay before heads in memory: attention answers in the order it is asked in
            both = rotate(both, (rotation[0][:, None, None], rotation[1][:, None, None]))
        queries, keys = both.unbind(2)
        return self._attend(queries.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2), mask)


class CrossAttention(_Attention):
    """Every token reads the tokens of a condition. The output projection begins at zero.

    With fewer heads of keys and values than of queries, neighbouring query heads share one (Ainslie et al., GQA, 2023,
    https://arxiv.org/abs/2305.13245).

    Args:
        dim: width of a token.
        heads: how many heads of queries share it.
        context_dim: width of a token of the condition.
        kv_heads: heads of keys and values, a divisor of ``heads``.
        qk_norm: whether queries and keys are normalised.
    """

    def __init__(self, dim: int, heads: int, context_dim: int, kv_heads: int, qk_norm: QKNorm = "none") -> None:
        super().__init__(dim, heads, qk_norm)
        if kv_heads < 1 or heads % kv_heads:
            raise ValueError(f"kv_heads: expected a divisor of heads {heads}, got {kv_heads}")
        self.kv_heads = kv_heads
        self.to_q = nn.Linear(dim, dim, bias=False)
        self.to_kv = nn.Linear(context_dim, 2 * kv_heads * self.head_dim, bias=False)

    def memory(self, context: Tensor, mask: Tensor | None = None) -> Memory:
        """Compute once what every step reads.

        Args:
            context: the condition's tokens, ``[batch, tokens, context_dim]``.
            mask: True where a token may be read, ``[batch, tokens]``. An item without any such token reads all.
        """
        keys, values = (self._split(part) for part in self.to_kv(context).chunk(2, dim=-1))
        keys = self.k_norm(keys).to(values.dtype)
        if self.kv_heads != self.heads:
            repeats = self.heads // self.kv_heads
            keys, values = keys.repeat_interleave(repeats, dim=1), values.repeat_interleave(repeats, dim=1)
        if mask is not None:
            mask = (mask | ~mask.any(dim=-1, keepdim=True))[:, None, None, :]
        return Memory(keys, values, mask)

    def constant(self, token: Tensor) -> Tensor:
        """What the layer gives where all tokens of a condition are the same one: nothing depends on the queries.

        Args:
            token: ``[1, 1, context_dim]``.

        Returns:
            ``[1, 1, dim]``.
        """
        values = self._split(self.to_kv(token).chunk(2, dim=-1)[1])
        values = values.repeat_interleave(self.heads // self.kv_heads, dim=1)
        return self.to_out(values.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, memory: Memory) -> Tensor:
        """Map ``[batch, tokens, dim]`` to the same shape."""
        queries = self.q_norm(self._split(self.to_q(x))).to(memory.keys.dtype)
        return self._attend(queries, memory.keys, memory.values, memory.mask)
