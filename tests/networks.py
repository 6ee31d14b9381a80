"""Small members of both families of networks, with something to run them on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from helpers import randomise
from musegen.models.base import Condition
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer

BATCH = 3
TOKENS = 6
FRAMES = 20


def diffusion_transformer(seed: int = 0, **arguments: Any) -> DiffusionTransformer:
    small = {"channels": 8, "frames": FRAMES, "dim": 128, "depth": 3, "heads": 2, "condition_dim": 64, "vector_dim": 48}
    net = DiffusionTransformer(**(small | arguments))
    randomise(net, seed)
    return net


def embedding_transformer(seed: int = 0, **arguments: Any) -> EmbeddingTransformer:
    small = {"dim": 64, "depth": 3, "heads": 2, "embedding_dim": 64, "embedding_tokens": 4, "text_dim": 48}
    net = EmbeddingTransformer(**(small | arguments))
    randomise(net, seed)
    return net


def inputs(net: DiffusionTransformer | EmbeddingTransformer, seed: int = 1) -> tuple[Tensor, Tensor, Condition]:
    """Noisy items, times, and a condition whose items have TOKENS, TOKENS - 2 and TOKENS - 4 real tokens."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(TOKENS) < torch.tensor([TOKENS, TOKENS - 2, TOKENS - 4])[:, None]
    tokens = torch.randn(BATCH, TOKENS, net.condition_dim, generator=generator) * mask[:, :, None]
    vector = torch.randn(BATCH, net.vector_dim, generator=generator) if net.vector_dim else None
    x = torch.randn(BATCH, *net.shape, generator=generator)
    return x, torch.tensor([0.1, 0.5, 0.9]), Condition(tokens, mask, vector)
