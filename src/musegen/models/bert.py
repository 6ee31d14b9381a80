"""BERT, as far as encoding text needs it: token states, without what predicts words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAMES = {
    r"^embeddings\.word_embeddings\.weight$": "words",
    r"^embeddings\.position_embeddings\.weight$": "positions",
    r"^embeddings\.token_type_embeddings\.weight$": "segments",
    r"^embeddings\.LayerNorm\.": "norm.",
    r"^encoder\.layer\.(\d+)\.attention\.self\.": r"layers.\1.",
    r"^encoder\.layer\.(\d+)\.attention\.output\.dense\.": r"layers.\1.attended.",
    r"^encoder\.layer\.(\d+)\.attention\.output\.LayerNorm\.": r"layers.\1.attention_norm.",
    r"^encoder\.layer\.(\d+)\.intermediate\.dense\.": r"layers.\1.widen.",
    r"^encoder\.layer\.(\d+)\.output\.dense\.": r"layers.\1.narrow.",
    r"^encoder\.layer\.(\d+)\.output\.LayerNorm\.": r"layers.\1.norm.",
}
"""Published names of parameters, and ours."""

UNUSED = re.compile(r"^(pooler\.|embeddings\.position_ids$)")


class Bert(nn.Module):
    """The encoder of BERT, for inference: the published operations in their published order.

    "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", 2018,
    https://arxiv.org/abs/1810.04805.

    Args:
        vocabulary: how many tokens there are.
        dim: width of the states.
        depth: layers.
        heads: of attention.
        widest: features between the two linear layers of each layer.
        longest: positions.
        eps: of the norms.
    """

    def __init__(
        self, vocabulary: int, dim: int, depth: int, heads: int, widest: int, longest: int = 512, eps: float = 1e-12
    ) -> None:
        super().__init__()
        # no `nn.Embedding`: drawing thirty thousand words that are then replaced takes longer than encoding a caption
        self.words = nn.Parameter(torch.empty(vocabulary, dim))
        self.positions = nn.Parameter(torch.empty(longest, dim))
        self.segments = nn.Parameter(torch.empty(2, dim))
        self.norm = nn.LayerNorm(dim, eps=eps)
        self.layers = nn.ModuleList(BertLayer(dim, heads, widest, eps) for _ in range(depth))

    @staticmethod
    def from_published(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Bert:
        """Build from a published ``config.json`` and its weights; they are copied.

        Raises:
            ValueError: if they are of another architecture.
        """
        kinds = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
        for key, expected in kinds.items():
            if config.get(key, expected) != expected:
                raise ValueError(f"Bert: expected {key} {expected}, got {config[key]!r}")
        with torch.random.fork_rng(devices=[]):
            model = Bert(
                config["vocab_size"],
                config["hidden_size"],
                config["num_hidden_layers"],
                config["num_attention_heads"],
                config["intermediate_size"],
                config["max_position_embeddings"],
                config["layer_norm_eps"],
            )
        # copies begin where a fresh tensor would: kernels choose by alignment how they add up
        state = {own_name(name): tensor.float().clone() for name, tensor in tensors.items() if not UNUSED.match(name)}
        try:
            model.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise ValueError(f"Bert: {' '.join(str(error).split())[:300]}") from None
        return model.eval().requires_grad_(False)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        """Token states.

        Args:
            ids: of tokens, ``[batch, tokens]``.
            mask: True where a token is real, ``[batch, tokens]``; None where all are.

        Returns:
            ``[batch, tokens, dim]``.
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        x = F.embedding(ids, self.words) + F.embedding(torch.zeros_like(ids), self.segments)
        x = self.norm(x + F.embedding(places, self.positions))
        seen = None if mask is None else mask[:, None, None, :].expand(-1, 1, ids.shape[1], -1)
        for layer in self.layers:
            x = layer(x, seen)
        return x


class BertLayer(nn.Module):
    """Attention and two linear layers, each followed by a norm over its sum with what went in."""

    def __init__(self, dim: int, heads: int, widest: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.attended = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim, eps=eps)
        self.widen, self.narrow = nn.Linear(dim, widest), nn.Linear(widest, dim)
        self.norm = nn.LayerNorm(dim, eps=eps)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """``[batch, tokens, dim]`` to the same; the mask is ``[batch, 1, tokens, tokens]``."""
        parts = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        heard = F.scaled_dot_product_attention(*parts, attn_mask=mask).transpose(1, 2).flatten(2)
        x = self.attention_norm(self.attended(heard) + x)
        return self.norm(self.narrow(F.gelu(self.widen(x))) + x)


def own_name(name: str) -> str:
    """Our name of a published parameter; one that has none is kept, to be complained of."""
    for pattern, ours in NAMES.items():
        name, found = re.subn(pattern, ours, name.removeprefix("bert."))
        if found:
            break
    return name
