"""The diffusion transformer as stable-audio-tools and diffusers have it, to compare ours with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from helpers import require
from musegen.models.base import Condition
from musegen.models.diffusion_transformer import DiffusionTransformer

RENAMED = {
    "timestep_features.": "time_proj.",
    "to_timestep_embed.": "timestep_proj.",
    "to_global_embed.": "global_proj.",
    "to_cond_embed.": "cross_attention_proj.",
    "transformer.project_in.": "proj_in.",
    "transformer.project_out.": "proj_out.",
    "transformer.layers.": "transformer_blocks.",
    ".pre_norm.gamma": ".norm1.weight",
    ".pre_norm.beta": ".norm1.bias",
    ".cross_attend_norm.gamma": ".norm2.weight",
    ".cross_attend_norm.beta": ".norm2.bias",
    ".ff_norm.gamma": ".norm3.weight",
    ".ff_norm.beta": ".norm3.bias",
    ".self_attn.to_out.": ".attn1.to_out.0.",
    ".cross_attn.to_q.": ".attn2.to_q.",
    ".cross_attn.to_out.": ".attn2.to_out.0.",
    ".ff.ff.": ".ff.net.",
}
SPLIT = {".self_attn.to_qkv.": ".attn1.to_{}.", ".cross_attn.to_kv.": ".attn2.to_{}."}


@dataclass
class Size:
    """Arguments of one variant, as the three implementations name them."""

    ours: dict[str, Any]
    stable_audio: dict[str, Any]
    diffusers: dict[str, Any] | None


def size(
    *,
    channels: int = 64,
    dim: int,
    depth: int,
    heads: int,
    condition_dim: int,
    vector_dim: int,
    project: bool = False,
    qk_norm: bool = False,
    modulated: bool = False,
) -> Size:
    ours = {
        "channels": channels,
        "dim": dim,
        "depth": depth,
        "heads": heads,
        "condition_dim": condition_dim,
        "vector_dim": vector_dim,
        "project_condition": project,
        "qk_norm": "layer" if qk_norm else "none",
        "modulated": modulated,
    }
    stable_audio = {
        "io_channels": channels,
        "embed_dim": dim,
        "depth": depth,
        "num_heads": heads,
        "cond_token_dim": condition_dim,
        "global_cond_dim": vector_dim,
        "project_cond_tokens": project,
        "transformer_type": "continuous_transformer",
        "global_cond_type": "adaLN" if modulated else "prepend",
        "attn_kwargs": {"qk_norm": "ln"} if qk_norm else {},
    }
    head_dim = dim // heads
    diffusers = {
        "in_channels": channels,
        "out_channels": channels,
        "num_layers": depth,
        "attention_head_dim": head_dim,
        "num_attention_heads": heads,
        "num_key_value_attention_heads": condition_dim // head_dim,
        "cross_attention_dim": condition_dim,
        "cross_attention_input_dim": condition_dim,
        "global_states_input_dim": vector_dim,
    }
    return Size(ours, stable_audio, None if qk_norm or project or modulated else diffusers)


OPEN = size(dim=1536, depth=24, heads=24, condition_dim=768, vector_dim=1536)
SMALL = size(dim=1024, depth=16, heads=8, condition_dim=768, vector_dim=768, project=True, qk_norm=True)
# every feature at a reduced width: 2 of 4 heads of keys, rotary positions on 32 of 64 and on 64 of 128 dimensions
NARROW_OPEN = size(channels=8, dim=256, depth=2, heads=4, condition_dim=128, vector_dim=96)
NARROW_SMALL = size(channels=8, dim=256, depth=2, heads=2, condition_dim=96, vector_dim=48, project=True, qk_norm=True)
NARROW_MODULATED = size(
    channels=8, dim=256, depth=2, heads=4, condition_dim=128, vector_dim=96, qk_norm=True, modulated=True
)


def stable_audio_transformer(variant: Size) -> nn.Module:
    require("stable_audio_tools")
    from stable_audio_tools.models.dit import DiffusionTransformer as Published

    return Published(**variant.stable_audio).eval()


def diffusers_transformer(variant: Size) -> nn.Module:
    diffusers: Any = require("diffusers")
    assert variant.diffusers is not None, "diffusers has no such variant"
    return diffusers.StableAudioDiTModel(**variant.diffusers).eval()


def diffusers_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our state dict under diffusers' names."""
    renamed = {}
    for key, value in state.items():
        if key.endswith("inv_freq"):
            continue
        for ours, theirs in SPLIT.items():
            if ours in key:
                letters = "qkv" if "qkv" in ours else "kv"
                parts = zip(letters, value.chunk(len(letters)), strict=True)
                renamed |= {name(key.replace(ours, theirs.format(letter))): part for letter, part in parts}
                break
        else:
            renamed[name(key)] = value.reshape(-1) if key == "timestep_features.weight" else value
    return renamed


def name(key: str) -> str:
    for ours, theirs in RENAMED.items():
        key = re.sub(f"^{re.escape(ours)}" if not ours.startswith(".") else re.escape(ours), theirs, key)
    return key


def example(net: DiffusionTransformer, frames: int, tokens: int, batch: int = 2) -> SimpleNamespace:
    """Noisy latents, times and a condition for a network."""
    generator = torch.Generator().manual_seed(1)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    condition = Condition(draw(batch, tokens, net.condition_dim), vector=draw(batch, net.vector_dim))
    return SimpleNamespace(
        x=draw(batch, net.shape[0], frames), time=torch.linspace(0.125, 0.75, batch), condition=condition
    )


def run_stable_audio(theirs: nn.Module, given: SimpleNamespace) -> Tensor:
    """The published prediction in our direction: time and sign are turned round."""
    condition = given.condition
    output = theirs(
        given.x, 1 - given.time, cross_attn_cond=condition.tokens, global_embed=condition.vector, cfg_scale=1.0
    )
    return -output


def run_diffusers(theirs: nn.Module, given: SimpleNamespace) -> Tensor:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    head_dim: int = theirs.config.attention_head_dim  # type: ignore[union-attr, assignment]
    rotary = get_1d_rotary_pos_embed(head_dim // 2, given.x.shape[-1] + 1, use_real=True, repeat_interleave_real=False)
    output = theirs(
        given.x,
        1 - given.time,
        encoder_hidden_states=given.condition.tokens,
        global_hidden_states=given.condition.vector[:, None],
        rotary_embedding=rotary,
        return_dict=False,
    )
    return -output[0]
