"""Telling a model a music embedding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from musegen.conditioning.base import Conditioner


class EmbeddingConditioner(Conditioner):
    """An embedding as several tokens: over a single one, the softmax of cross-attention would be a mere 1.

    The unit vector is scaled to numbers of about one, then a linear map and a small network give each token its own
    view of the whole.

    Args:
        embedding_dim: numbers of the embedding.
        tokens: how many tokens it becomes.
        dim: width of a token.
        reads: key of the batch.
    """

    def __init__(self, embedding_dim: int = 512, tokens: int = 8, dim: int = 768, reads: str = "embedding") -> None:
        super().__init__()
        self.embedding_dim, self.tokens, self.dim, self.reads = embedding_dim, tokens, dim, reads
        self.expand = nn.Linear(embedding_dim, tokens * dim)
        self.refine = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, dim))

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, None]:
        """``batch[reads]`` ``[batch, embedding_dim]`` → tokens ``[batch, tokens, dim]``.

        Raises:
            ValueError: if the batch has no such key, or the embedding another width.
        """
        embedding = self.read(batch)
        if embedding.ndim != 2 or embedding.shape[1] != self.embedding_dim:
            shape = list(embedding.shape)
            raise ValueError(f"{self.reads}: expected embeddings [batch, {self.embedding_dim}], got {shape}")
        scaled = embedding.to(self.expand.weight) * self.embedding_dim**0.5
        tokens = self.expand(scaled).unflatten(1, (self.tokens, self.dim))
        return tokens + self.refine(tokens), None
