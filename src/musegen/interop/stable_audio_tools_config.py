"""``model_config.json`` of stable-audio-tools ↔ our models. Weights are the business of `stable_audio_tools`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import torch

from musegen.conditioning.base import Conditioner
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.seconds import SecondsConditioner
from musegen.conditioning.t5 import T5
from musegen.flow.model import FlowModel
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.interop.exchange import published_network
from musegen.interop.options import Options
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.oobleck import OobleckAutoencoder
from musegen.recipes import shorten

FORMAT = "stable-audio-tools"
PATHS: dict[str, type[Path]] = {"v": CosinePath, "rectified_flow": RectifiedFlow, "rf_denoiser": RectifiedFlow}
T5_DIMS = {
    "t5-small": 512,
    "t5-base": 768,
    "t5-large": 1024,
    "t5-3b": 1024,
    "t5-11b": 1024,
    "google/flan-t5-small": 512,
    "google/flan-t5-base": 768,
    "google/flan-t5-large": 1024,
    "google/flan-t5-xl": 2048,
    "google/flan-t5-xxl": 4096,
    "google/t5-v1_1-xl": 2048,
    "google/t5-v1_1-xxl": 4096,
}
HUB = "google-t5/"  # where the hub keeps those of the bare names


def models_from_config(config: Any, t5: str | None = None) -> tuple[FlowModel | None, OobleckAutoencoder | None, float]:
    """Build what a ``model_config.json`` describes, without memory for its weights.

    Args:
        config: the file's content.
        t5: folder or hub's name of the text encoder, in place of the config's.

    Returns:
        The flow model (None for an autoencoder's config), the autoencoder (None where there is none), and the number
        that latents are divided by.

    Raises:
        ValueError: naming the option, if musegen has nothing like it.
    """
    top = Options(config, "model_config")
    kind = top.expect("model_type", "diffusion_cond", "autoencoder", default=None)
    rate = top.size("sample_rate", 44100)
    with torch.device("meta"):
        if kind == "autoencoder":
            return None, _autoencoder(top.section("model"), rate), 1.0
        model = top.section("model")
        codec, scale = None, 1.0
        if model.rest.get("pretransform") is not None:
            pretransform = model.section("pretransform")
            pretransform.expect("type", "autoencoder", default=None)
            pretransform.ignore("iterate_batch", "chunked", "model_half", "enable_grad")
            scale = pretransform.take("scale", float, 1.0)
            codec = _autoencoder(pretransform.section("config"), rate)
            pretransform.finish()
        ratio = codec.downsampling if codec else 1
        frames = top.size("sample_size", 1024 * ratio) // ratio
        model.ignore("io_channels", "pretransform")
        flow = _flow(model, max(frames, 1), t5)
        model.finish()
    return flow, codec, scale


def objective_and_scale(config: Any) -> tuple[str, float]:
    """The objective that a config's network learned, and the number that latents are divided by, whatever else it says.

    Raises:
        ValueError: if it says it wrongly.
    """
    model = Options(config, "model_config").section("model", {})
    objective = model.section("diffusion", {}).take("diffusion_objective", str, "v")
    return objective, float(model.section("pretransform", {}).take("scale", float, 1.0))


def _flow(model: Options, frames: int, t5: str | None) -> FlowModel:
    diffusion = model.section("diffusion")
    diffusion.expect("type", "dit", default=None)
    path = PATHS[diffusion.expect("diffusion_objective", *PATHS)]()
    cross, vector = diffusion.names("cross_attention_cond_ids"), diffusion.names("global_cond_ids")
    diffusion.ignore("distribution_shift_options", "sampling_distribution_shift_options", "mask_padding_attention")
    diffusion.ignore("use_effective_length_for_schedule")
    network = _network(diffusion.section("config"), frames)
    diffusion.finish()
    conditioning = model.section("conditioning")
    dim = conditioning.size("cond_dim")
    conditioners = dict(
        _conditioner(Options(one, f"{conditioning.where}.configs[{index}]"), dim, t5)
        for index, one in enumerate(conditioning.take("configs", list))
    )
    conditioning.ignore("default_keys")
    conditioning.finish()
    used = {name: one for name, one in conditioners.items() if name in (*cross, *vector)}
    return FlowModel(network, Conditioning(used, cross, vector), path)


def _network(config: Options, frames: int) -> DiffusionTransformer:
    attention = config.section("attn_kwargs", {})
    qk_norm = attention.expect("qk_norm", "none", "ln")
    attention.expect("qk_norm_eps", 1e-6)
    attention.finish()
    config.expect("transformer_type", "continuous_transformer")
    config.expect("patch_size", 1)
    config.expect("project_global_cond", True)
    modulated = config.expect("global_cond_type", "prepend", "adaLN") == "adaLN"
    config.expect("timestep_cond_type", "global")
    config.expect("timestep_features_type", "learned")
    config.expect("rotary_pos_emb", True)
    config.expect("norm_type", "layer_norm")
    config.expect("final_cross_attn_ix", -1)
    config.ignore("zero_init_branch_outputs", "timestep_embed_dim")
    network = DiffusionTransformer(
        channels=config.size("io_channels", 32),
        frames=frames,
        dim=config.size("embed_dim", 768),
        depth=config.size("depth", 12),
        heads=config.size("num_heads", 8),
        condition_dim=config.size("cond_token_dim"),
        vector_dim=config.size("global_cond_dim", 0, least=0),
        project_condition=config.take("project_cond_tokens", bool, True),
        qk_norm="layer" if qk_norm == "ln" else "none",
        modulated=modulated,
        time_features=config.size("timestep_features_dim", 256),
    )
    config.finish()
    return network


def _conditioner(one: Options, dim: int, t5: str | None) -> tuple[str, Conditioner]:
    name = one.take("id", str)
    kind = one.expect("type", "number", "t5", default=None)
    config = one.section("config", {})
    if kind == "number":
        config.expect("fourier_features_type", "learned")
        low, high = config.take("min_val", float, 0), config.take("max_val", float, 1)
        conditioner: Conditioner = SecondsConditioner(name, config.size("output_dim", dim), low, high)
    else:
        model = config.take("t5_model_name", str, "t5-base")
        width = T5_DIMS.get(model)
        if width != config.size("output_dim", dim):
            raise ValueError(f"{config.where}: musegen projects no states of {model} ({width}) to {dim}")
        config.expect("project_out", False)
        config.expect("enable_grad", False)
        config.expect("padding_mode", "zero")
        found = t5 or config.take("model_path", str, None) or (model if "/" in model else HUB + model)
        config.ignore("model_path")
        conditioner = CaptionConditioner(T5(found, dim, config.size("max_length", 128)))
    config.finish()
    return name, conditioner


def _autoencoder(model: Options, rate: int) -> OobleckAutoencoder:
    model.section("bottleneck").expect("type", "vae", default=None)
    model.ignore("bottleneck", "io_channels", "in_channels", "out_channels")
    latents = model.size("latent_dim")
    halves = []
    for half, audio, factor in (("encoder", "in_channels", 2), ("decoder", "out_channels", 1)):
        section = model.section(half)
        section.expect("type", "oobleck", default=None)
        section.ignore("requires_grad")
        config = section.section("config")
        config.expect("use_snake", True, default=False)
        if half == "decoder":
            config.expect("final_tanh", False, default=True)
        width = config.size("latent_dim", 32)
        if width != factor * latents:
            raise ValueError(f"{config.where}.latent_dim: expected {factor * latents}, got {width}")
        multiples, strides = config.sizes("c_mults", [1, 2, 4, 8]), config.sizes("strides", [2, 4, 8, 8])
        halves.append((config.size("channels", 128), multiples, strides, config.size(audio, 2)))
        config.finish()
        section.finish()
    channels, multiples, strides, audio_channels = halves[0]
    if halves[0] != halves[1]:
        raise ValueError(f"{model.where}: expected a decoder like the encoder, got {shorten(halves[1])}")
    ratio = model.size("downsampling_ratio", math.prod(strides))
    if ratio != math.prod(strides):
        raise ValueError(f"{model.where}.downsampling_ratio: expected {math.prod(strides)}, got {ratio}")
    model.finish()
    return OobleckAutoencoder(channels, multiples, strides, latents, audio_channels, rate)


def config_from_models(
    flow: FlowModel | None,
    codec: OobleckAutoencoder | None,
    scale: float = 1.0,
    training: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The inverse of `models_from_config`.

    Args:
        flow: the flow model, if any.
        codec: the autoencoder, if any.
        scale: what latents are divided by.
        training: what our folder says of how the model came to be; its ``objective`` tells apart what is one path here.

    Raises:
        ValueError: if stable-audio-tools has nothing like a part of the model.
    """
    rate = codec.sample_rate if codec else 44100
    config: dict[str, Any] = {"model_type": "autoencoder", "sample_rate": rate}
    autoencoder = _autoencoder_config(codec) if codec else None
    if codec is not None:
        config["audio_channels"] = codec.audio_channels
    if flow is None:
        return {**config, "sample_size": 65536, "model": autoencoder}
    network = published_network(flow, FORMAT)
    channels, frames = network.shape
    objective = (training or {}).get("objective")
    if objective not in PATHS or PATHS[objective] is not type(flow.path):
        objective = next((name for name, path in PATHS.items() if path is type(flow.path)), None)
    if objective is None:
        raise ValueError(f"{FORMAT} has nothing like {type(flow.path).__name__}")
    named = flow.conditioning.conditioners.items()
    configs = [_conditioner_config(name, one, network.condition_dim) for name, one in named]
    model: dict[str, Any] = {
        "conditioning": {"configs": configs, "cond_dim": network.condition_dim},
        "diffusion": {
            "diffusion_objective": objective,
            "cross_attention_cond_ids": flow.conditioning.cross_attention,
            "global_cond_ids": flow.conditioning.vector,
            "type": "dit",
            "config": _network_config(network),
        },
        "io_channels": channels,
    }
    if autoencoder is not None:
        model = {"pretransform": {"type": "autoencoder", "scale": scale, "config": autoencoder}, **model}
        if scale == 1.0:
            del model["pretransform"]["scale"]
    elif scale != 1.0:
        raise ValueError(f"{FORMAT} keeps the latents' scale ({scale}) with the autoencoder: convert both together")
    size = frames * (codec.downsampling if codec else 1)
    return {**config, "model_type": "diffusion_cond", "sample_size": size, "model": model}


def _network_config(network: DiffusionTransformer) -> dict[str, Any]:
    ours = network.config["init_args"]
    config = {
        "io_channels": ours["channels"],
        "embed_dim": ours["dim"],
        "depth": ours["depth"],
        "num_heads": ours["heads"],
        "cond_token_dim": ours["condition_dim"],
        "global_cond_dim": ours["vector_dim"],
        "project_cond_tokens": ours["project_condition"],
        "transformer_type": "continuous_transformer",
    }
    if ours["modulated"]:
        config["global_cond_type"] = "adaLN"
    if ours["qk_norm"] == "layer":
        config["attn_kwargs"] = {"qk_norm": "ln"}
    if ours["time_features"] != 256:
        config["timestep_features_dim"] = ours["time_features"]
    return config


def _conditioner_config(name: str, conditioner: Any, dim: int) -> dict[str, Any]:
    if isinstance(conditioner, SecondsConditioner) and conditioner.dim == dim and conditioner.reads == name:
        return {"id": name, "type": "number", "config": {"min_val": conditioner.low, "max_val": conditioner.high}}
    encoder = conditioner.encoder if isinstance(conditioner, CaptionConditioner) else None
    if isinstance(encoder, T5) and encoder.dim == dim:
        model = encoder.model.removeprefix(HUB)
        config: dict[str, Any] = {"t5_model_name": model, "max_length": encoder.max_tokens}
        if model not in T5_DIMS:
            named = [known for known in T5_DIMS if PurePath(model).name == PurePath(known).name]
            alike = [known for known, width in T5_DIMS.items() if width == dim]
            if not named + alike:
                raise ValueError(f"{FORMAT} knows no T5 of {dim} numbers")
            config |= {"t5_model_name": (named + alike)[0], "model_path": model}
        return {"id": name, "type": "t5", "config": config}
    what = type(encoder or conditioner).__name__
    raise ValueError(f"{FORMAT} has no conditioner like {name} ({what}); it knows T5 captions and numbers of seconds")


def _autoencoder_config(codec: OobleckAutoencoder) -> dict[str, Any]:
    ours = codec.config["init_args"]
    shape = {"channels": ours["channels"], "c_mults": ours["multiples"], "strides": ours["strides"]}
    latents, audio = codec.latent_channels, codec.audio_channels
    encoder = {"in_channels": audio, **shape, "latent_dim": 2 * latents, "use_snake": True}
    decoder = {"out_channels": audio, **shape, "latent_dim": latents, "use_snake": True, "final_tanh": False}
    return {
        "encoder": {"type": "oobleck", "config": encoder},
        "decoder": {"type": "oobleck", "config": decoder},
        "bottleneck": {"type": "vae"},
        "latent_dim": latents,
        "downsampling_ratio": codec.downsampling,
        "io_channels": audio,
    }
