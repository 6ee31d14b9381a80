"""A small flow model of real parts, the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from helpers import randomise
from musegen.conditioning.base import Conditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel
from musegen.flow.noise import item_noise
from musegen.flow.paths.base import Path
from musegen.flow.samplers.base import Sampler
from musegen.models.embedding_transformer import EmbeddingTransformer


class Projected(Conditioner):
    """Makes an embedding into tokens."""

    def __init__(self, dim: int = 24, tokens: int = 3) -> None:
        super().__init__()
        self.dim, self.reads, self.tokens = dim, "embedding", tokens
        self.projection = torch.nn.Linear(16, dim * tokens)

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, None]:
        return self.projection(batch["embedding"]).unflatten(1, (self.tokens, self.dim)), None


def small_model(path: Path, normalise_output: bool = False, null: str = "zero") -> FlowModel:
    network = EmbeddingTransformer(
        dim=32, depth=2, heads=2, embedding_dim=32, embedding_tokens=4, text_dim=24, null=null, time_features=32
    )
    model = FlowModel(network, Conditioning({"music": Projected()}, ["music"]), path, normalise_output)
    randomise(model, seed=5)
    model.statistics.set(torch.linspace(-1, 1, 32), torch.linspace(0.5, 2, 32))
    return model.eval()


def told(seeds: list[int]) -> dict[str, Tensor]:
    """Each item's own embedding."""
    return {"embedding": item_noise(seeds, (16,), "told")}


def sample(
    path: Path,
    sampler: Sampler,
    seeds: list[int],
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Tensor:
    """Guided samples of the small model, six steps."""
    model = small_model(path).to(device)
    model.network.to(dtype)
    batch = {key: value.to(device) for key, value in told(seeds).items()}
    with torch.no_grad():
        condition = model.condition(batch, one_by_one=True)
    options = {"guidance": ClassifierFree(2.0), "steps": 6, **options}
    return model.sample(condition, seeds, sampler=sampler, **options)


def digest(values: Tensor) -> str:
    return hashlib.sha256(values.contiguous().numpy().tobytes()).hexdigest()
