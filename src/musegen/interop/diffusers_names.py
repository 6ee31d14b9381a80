"""Names of tensors in diffusers' folders of Stable Audio, for each of ours."""

from __future__ import annotations

import re

OUTSIDE = {
    "timestep_features.weight": "time_proj.weight",
    "to_timestep_embed.": "timestep_proj.",
    "to_global_embed.": "global_proj.",
    "to_cond_embed.": "cross_attention_proj.",
    "transformer.project_in.": "proj_in.",
    "transformer.project_out.": "proj_out.",
    "preprocess_conv.": "preprocess_conv.",
    "postprocess_conv.": "postprocess_conv.",
}
BLOCK = {
    "pre_norm.gamma": ("norm1.weight",),
    "pre_norm.beta": ("norm1.bias",),
    "cross_attend_norm.gamma": ("norm2.weight",),
    "cross_attend_norm.beta": ("norm2.bias",),
    "ff_norm.gamma": ("norm3.weight",),
    "ff_norm.beta": ("norm3.bias",),
    "self_attn.to_qkv.weight": ("attn1.to_q.weight", "attn1.to_k.weight", "attn1.to_v.weight"),
    "self_attn.to_out.weight": ("attn1.to_out.0.weight",),
    "cross_attn.to_q.weight": ("attn2.to_q.weight",),
    "cross_attn.to_kv.weight": ("attn2.to_k.weight", "attn2.to_v.weight"),
    "cross_attn.to_out.weight": ("attn2.to_out.0.weight",),
    "ff.ff.0.proj.weight": ("ff.net.0.proj.weight",),
    "ff.ff.0.proj.bias": ("ff.net.0.proj.bias",),
    "ff.ff.2.weight": ("ff.net.2.weight",),
    "ff.ff.2.bias": ("ff.net.2.bias",),
}
UNIT = {"0": "snake1", "1": "conv1", "2": "snake2", "3": "conv2"}
ENCODER = {"0": "res_unit1", "1": "res_unit2", "2": "res_unit3", "3": "snake1", "4": "conv1"}
DECODER = {"0": "snake1", "1": "conv_t1", "2": "res_unit1", "3": "res_unit2", "4": "res_unit3"}
SECONDS = {"seconds_start": "start_number_conditioner", "seconds_total": "end_number_conditioner"}


def transformer_names(name: str) -> tuple[str, ...]:
    """Names for a tensor of our diffusion transformer: several are joined, none are left out as derived."""
    if name.endswith("inv_freq"):
        return ()
    block = re.fullmatch(r"transformer\.layers\.(\d+)\.(.+)", name)
    if block:
        return tuple(f"transformer_blocks.{block[1]}.{theirs}" for theirs in BLOCK[block[2]])
    start = next(start for start in OUTSIDE if name.startswith(start))
    return (OUTSIDE[start] + name.removeprefix(start),)


def projection_name(conditioner: str, name: str) -> str:
    """The name for a tensor of a conditioner of seconds."""
    return f"{SECONDS[conditioner]}.time_positional_embedding.{name.removeprefix('embedder.embedding.')}"


def autoencoder_name(name: str, blocks: int) -> str:
    """The name for a tensor of our autoencoder with so many blocks a half."""
    half, _, index, rest = name.split(".", 3)
    if not 1 <= int(index) <= blocks:
        return f"{half}.{ {0: 'conv1', blocks + 1: 'snake1', blocks + 2: 'conv2'}[int(index)] }.{rest}"
    _, place, rest = rest.split(".", 2)
    part = (ENCODER if half == "encoder" else DECODER)[place]
    if part.startswith("res_unit"):
        _, layer, rest = rest.split(".", 2)
        part = f"{part}.{UNIT[layer]}"
    return f"{half}.block.{int(index) - 1}.{part}.{rest}"
