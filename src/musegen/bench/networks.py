"""The parts that benches measure, with random weights: at the poster's sizes, and small ones for a CPU."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from musegen.flow.noise import item_noise
from musegen.models.base import Condition, FlowNetwork
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.models.oobleck import OobleckAutoencoder

Module = TypeVar("Module", bound=nn.Module)

EMBEDDING: dict[str, dict[str, Any]] = {
    "poster": {},
    "poster, 1 token": {"embedding_tokens": 1},
    "100M": {"dim": 768, "depth": 10, "heads": 12},
    "500M": {"dim": 1280, "depth": 19, "heads": 20},
    "1000M": {"dim": 1792, "depth": 19, "heads": 28},
    "1500M": {"dim": 2048, "depth": 22, "heads": 32},
    "tiny": {"dim": 64, "depth": 2, "heads": 2},
    "small": {"dim": 128, "depth": 4, "heads": 4},
    "wide": {"dim": 512, "depth": 6, "heads": 8},
}
LATENTS: dict[str, dict[str, Any]] = {
    "poster": {},
    "100M": {"dim": 768, "depth": 9, "heads": 12, "kv_heads": 6},
    "300M": {"dim": 1024, "depth": 15, "heads": 16, "kv_heads": 8},
    "500M": {"dim": 1280, "depth": 16, "heads": 20, "kv_heads": 10},
    "1500M": {"dim": 1792, "depth": 25, "heads": 28, "kv_heads": 14},
    "tiny": {"frames": 64, "dim": 64, "depth": 2, "heads": 1, "condition_dim": 64, "vector_dim": 128},
    "wide": {"frames": 64, "dim": 512, "depth": 6, "heads": 8, "condition_dim": 64, "vector_dim": 128},
    "small": {"frames": 64, "dim": 128, "depth": 3, "heads": 2, "condition_dim": 64, "vector_dim": 128},
}
CODEC: dict[str, dict[str, Any]] = {
    "poster": {},
    "small": {"channels": 8, "multiples": (1, 2, 4), "strides": (4, 8, 8)},
}


def flow_network(sizes: dict[str, dict[str, Any]], size: str) -> FlowNetwork:
    """A network of stage 1 (of the sizes `EMBEDDING`) or 2 (`LATENTS`), on the default device.

    Raises:
        ValueError: for a size that is not there.
    """
    kind = EmbeddingTransformer if sizes is EMBEDDING else DiffusionTransformer
    return kind(**_size(sizes, size))


def codec(size: str) -> OobleckAutoencoder:
    """The autoencoder of latents, on the default device."""
    return OobleckAutoencoder(**_size(CODEC, size))


def _size(sizes: dict[str, dict[str, Any]], size: str) -> dict[str, Any]:
    if size not in sizes:
        raise ValueError(f"size: expected one of {', '.join(sizes)}, got {size!r}")
    return sizes[size]


def default_size(size: str | None, device: torch.device) -> str:
    """The poster's on a GPU, the small one elsewhere, where none is asked for."""
    return size or ("poster" if device.type == "cuda" else "small")


def build(make: Any, device: torch.device, seed: int = 0) -> Any:
    """Build a module on a device with random numbers in every parameter: a fresh one would answer zero to anything."""
    torch.manual_seed(seed)  # of what is drawn once and never trained: frequencies
    with torch.device(device):
        module = make()
    return scatter(module, seed).eval().requires_grad_(False)


@torch.no_grad()
def scatter(module: Module, seed: int = 0) -> Module:
    """Draw matrices that keep the size of what passes through, vectors near what they were; in place."""
    device = next(module.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad or name.endswith("weight_g"):
            continue
        if parameter.ndim > 1:
            parameter.normal_(generator=generator).mul_(parameter[0].numel() ** -0.5)
        else:
            parameter.add_(torch.randn(parameter.shape, generator=generator, device=device), alpha=0.1)
    return module


def condition(network: FlowNetwork, items: int, tokens: int, device: torch.device, seed: int = 0) -> Condition:
    """Random tokens; a random vector where the network reads one, and a mask where it reads text, as encoders give."""
    seeds = range(seed, seed + items)
    told = item_noise(seeds, (tokens, network.condition_dim), "tokens")
    if network.vector_dim:
        return Condition(told, vector=item_noise(seeds, (network.vector_dim,), "vector")).to(device)
    real = 1 + tokens * (1 + torch.arange(items)[:, None] % 4) // 4  # captions of four lengths
    return Condition(told, torch.arange(tokens) < real).to(device)


def evaluation_cost(
    sizes: dict[str, dict[str, Any]], size: str, tokens: int, guided: bool = True, skip_null: bool = True
) -> tuple[float, float]:
    """What one evaluation of one item asks for, counted without computing it.

    Returns:
        Floating-point operations, and how many weights they read.
    """
    meta = torch.device("meta")
    with meta:
        network = flow_network(sizes, size).eval()
    told = condition(network, 1, tokens, torch.device("cpu")).to(meta)
    with torch.no_grad():
        prepared = network.prepare_with_null(told) if skip_null and guided else None
        if prepared is None:
            prepared = network.prepare(Condition.concatenate([told, network.null(told)]) if guided else told)
        items = 2 if guided else 1
        x, time = torch.empty(items, *network.shape, device=meta), torch.empty(items, device=meta)
        with FlopCounterMode(display=False) as counter:
            network.predict(x, time, prepared)
    apart = (".to_kv.", "text_", "to_cond_embed", "to_global_embed")
    weights = sum(
        value.numel() for name, value in network.named_parameters() if not any(part in name for part in apart)
    )
    return float(counter.get_total_flops()), float(weights)
