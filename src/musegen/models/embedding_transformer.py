"""The network of stage 1: a transformer over the parts of one embedding."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from musegen.models.base import Condition, FlowNetwork
from musegen.models.checks import check_condition
from musegen.nn.attention import Memory, QKNorm
from musegen.nn.block import Block
from musegen.nn.feedforward import MLP, embedder, zeroed
from musegen.nn.fourier import FourierFeatures
from musegen.nn.norms import LayerNorm
from musegen.nn.stack import Stack


class EmbeddingTransformer(FlowNetwork):
    """Predicts the flow of an embedding, told by text tokens through cross-attention; 271M parameters by default.

    The embedding is cut into several tokens, because attention over a single one would be a linear map. Positions are
    learned; the time is embedded and added to every token; blocks are pre-norm with a GELU between the two layers of
    their feed-forward. A fresh network predicts zero.

    Args:
        dim: width of a token inside.
        depth: how many blocks.
        heads: attention heads, a divisor of dim.
        embedding_dim: numbers of the embedding.
        embedding_tokens: how many tokens it is cut into, a divisor of embedding_dim.
        text_dim: width of the text encoder's states.
        null: what guidance takes as "no text": "zero" tokens, or one "learned" token in every place.
        qk_norm: "layer" normalises the queries and keys of each head, "none" does not.
        time_features: sines and cosines that the time is shown as.
        gradient_checkpointing: compute the inside of each block again for the gradient instead of keeping it: less
            memory, a third more time.
    """

    def __init__(
        self,
        dim: int = 1024,
        depth: int = 16,
        heads: int = 16,
        embedding_dim: int = 512,
        embedding_tokens: int = 8,
        text_dim: int = 768,
        null: Literal["zero", "learned"] = "zero",
        qk_norm: QKNorm = "none",
        time_features: int = 256,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if embedding_dim % embedding_tokens:
            raise ValueError(
                f"embedding_tokens: expected a divisor of embedding_dim {embedding_dim}, got {embedding_tokens}"
            )
        if null not in ("zero", "learned"):
            raise ValueError(f"null: expected 'zero' or 'learned', got {null!r}")
        self.shape = (embedding_dim,)
        self.condition_dim = text_dim
        self.vector_dim = 0
        width = embedding_dim // embedding_tokens
        self.null_token = nn.Parameter(torch.randn(text_dim)) if null == "learned" else None
        self.text_norm = LayerNorm(text_dim)
        self.text_projection = nn.Linear(text_dim, dim)
        self.time_features = FourierFeatures(time_features)
        self.time_embedding = embedder(time_features, dim)
        self.position = nn.Parameter(0.02 * torch.randn(embedding_tokens, dim))
        self.project_in = nn.Linear(width, dim)
        blocks = (Block(dim, heads, dim, heads, MLP(dim), qk_norm) for _ in range(depth))
        self.blocks = Stack(blocks, gradient_checkpointing)
        self.norm = LayerNorm(dim)
        self.project_out = zeroed(nn.Linear(dim, width))
        self._add_parts(time_features, dim)

    def _add_parts(self, time_features: int, dim: int) -> None:
        """What a kind of this network has besides; nothing here."""

    def prepare(self, condition: Condition) -> tuple[Memory, ...]:
        """Project the text, and compute the keys and values of every cross-attention.

        Raises:
            ValueError: if the condition's width is not ``text_dim``, or it has a global vector.
        """
        check_condition(self, condition)
        tokens = condition.tokens.to(self.text_projection.weight.dtype)
        return self.blocks.memories(self.text_projection(self.text_norm(tokens)), condition.mask)

    def prepare_with_null(self, condition: Condition) -> tuple[Memory, ...]:
        """All tokens of the null condition are one: what they say to each layer does not depend on who asks."""
        context = condition.tokens.new_zeros(1, 1, self.condition_dim)
        if self.null_token is not None:
            context = self.null_token.to(context.dtype).expand_as(context)
        token = self.text_projection(self.text_norm(context.to(self.text_projection.weight.dtype)))
        return tuple(
            memory._replace(constant=block.cross_attn.constant(token))
            for block, memory in zip(self.blocks, self.prepare(condition), strict=True)
        )

    def predict(self, x: Tensor, time: Tensor, prepared: tuple[Memory, ...], mask: Tensor | None = None) -> Tensor:
        """Predict the direction towards data; see `FlowNetwork.predict`.

        Args:
            x: noisy embeddings, ``[batch, embedding_dim]``.
            time: flow time of each item, ``[batch]``.
            prepared: what `prepare` returned.
            mask: must be None: an embedding has no padding.
        """
        if mask is not None:
            raise ValueError(f"{type(self).__name__}: expected no mask, an embedding has no padding")
        dtype = self.project_in.weight.dtype
        when = self._time_token(time, dtype)
        parts = x.to(dtype).unflatten(1, (self.position.shape[0], -1))
        tokens = self.project_in(parts) + self.position + when[:, None]
        tokens = self.norm(self.blocks(tokens, prepared))
        return self.project_out(tokens).flatten(1).to(x.dtype)

    def _time_token(self, time: Tensor, dtype: torch.dtype) -> Tensor:
        """What the network is shown of the time, ``[batch, dim]``."""
        if time.ndim != 1:
            name = type(self).__name__
            raise ValueError(f"{name} is not told where a step ends: only a distilled model can be sampled by jump")
        return self.time_embedding(self.time_features(time).to(dtype))

    def null(self, condition: Condition) -> Condition:
        """The tokens of no text, every one of them read, so that not even the length of the caption shows."""
        mask = None if condition.mask is None else torch.ones_like(condition.mask)
        if self.null_token is None:
            return replace(condition, tokens=torch.zeros_like(condition.tokens), mask=mask)
        token = self.null_token.to(condition.tokens.dtype)
        return replace(condition, tokens=token.expand_as(condition.tokens), mask=mask)
