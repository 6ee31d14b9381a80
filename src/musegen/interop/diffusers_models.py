"""Configs of diffusers' components of Stable Audio ↔ our models. Weights are the business of `diffusers_format`."""

from __future__ import annotations

from typing import Any

from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.seconds import SecondsConditioner
from musegen.conditioning.t5 import T5
from musegen.flow.model import FlowModel
from musegen.flow.paths.cosine import CosinePath
from musegen.interop.diffusers_names import SECONDS
from musegen.interop.exchange import published_network
from musegen.interop.options import Options
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.oobleck import OobleckAutoencoder

FORMAT = "diffusers"
PROMPT = "prompt"
T5_NAMES = {512: "google-t5/t5-small", 768: "google-t5/t5-base", 1024: "google-t5/t5-large"}


def network_from_config(config: Options) -> DiffusionTransformer:
    """The network of a ``StableAudioDiTModel``.

    Raises:
        ValueError: naming the option, if musegen has nothing like it.
    """
    head_dim, heads = config.size("attention_head_dim", 64), config.size("num_attention_heads", 24)
    channels, condition = config.size("in_channels", 64), config.size("cross_attention_input_dim", 768)
    dim, context = head_dim * heads, config.size("cross_attention_dim", 768)
    if context not in (condition, dim):
        raise ValueError(f"{config.where}: cross_attention_dim: expected {condition} or {dim}, got {context}")
    if head_dim < 64:
        raise ValueError(f"{config.where}: attention_head_dim: expected 64 or more, got {head_dim}")
    config.expect("out_channels", channels, default=64)
    kv_heads = config.size("num_key_value_attention_heads", 12)
    network = DiffusionTransformer(
        channels=channels,
        frames=config.size("sample_size", 1024),
        dim=dim,
        depth=config.size("num_layers", 24),
        heads=heads,
        condition_dim=condition,
        vector_dim=config.size("global_states_input_dim", 1536),
        project_condition=context != condition,
        kv_heads=None if kv_heads == context // head_dim else kv_heads,
        time_features=config.size("time_proj_dim", 256),
    )
    config.finish()
    return network


def network_config(flow: FlowModel) -> dict[str, Any]:
    """The inverse of `network_from_config`.

    Raises:
        ValueError: if diffusers has nothing like the network or its path.
    """
    ours = published_network(flow, FORMAT).config["init_args"]
    head_dim = ours["dim"] // ours["heads"]
    context = ours["dim"] if ours["project_condition"] else ours["condition_dim"]
    if ours["qk_norm"] != "none" or head_dim < 64 or not ours["vector_dim"] or ours["modulated"]:
        raise ValueError(
            f"{FORMAT} has only Stable Audio Open 1.0's variant (no query-key norm, heads of 64 or more, a global "
            f"vector as a token), got qk_norm {ours['qk_norm']!r}, heads of {head_dim}, "
            f"vector_dim {ours['vector_dim']}, modulated {ours['modulated']}"
        )
    if type(flow.path) is not CosinePath:
        raise ValueError(f"{FORMAT} has only CosinePath (v-objective), got {type(flow.path).__name__}")
    return {
        "_class_name": "StableAudioDiTModel",
        "attention_head_dim": head_dim,
        "cross_attention_dim": context,
        "cross_attention_input_dim": ours["condition_dim"],
        "global_states_input_dim": ours["vector_dim"],
        "in_channels": ours["channels"],
        "num_attention_heads": ours["heads"],
        "num_key_value_attention_heads": context // head_dim,
        "num_layers": ours["depth"],
        "out_channels": ours["channels"],
        "sample_size": ours["frames"],
        "time_proj_dim": ours["time_features"],
    }


def conditioning_from_config(config: Options, max_tokens: int, t5: str | None = None) -> Conditioning:
    """The conditioning of a pipeline with this ``StableAudioProjectionModel``.

    Raises:
        ValueError: if it projects the text's states, or no T5 of its width is known.
    """
    dim = config.size("conditioning_dim")
    if config.size("text_encoder_dim") != dim:
        raise ValueError(f"{config.where}: musegen projects no text states, expected text_encoder_dim {dim}")
    low, high = config.take("min_value", float), config.take("max_value", float)
    config.finish()
    model = t5 or T5_NAMES.get(dim)
    if model is None:
        raise ValueError(f"{config.where}: no T5 of {dim} numbers is known; name one")
    prompt = CaptionConditioner(T5(model, dim, max_tokens))
    seconds = {name: SecondsConditioner(name, dim, low, high) for name in SECONDS}
    return Conditioning({PROMPT: prompt, **seconds}, [PROMPT, *SECONDS], [*SECONDS])


def projection_config(flow: FlowModel) -> dict[str, Any]:
    """The inverse of `conditioning_from_config`.

    Raises:
        ValueError: if diffusers has nothing like the conditioning.
    """
    conditioning, wanted = flow.conditioning, [PROMPT, *SECONDS]
    parts = dict(conditioning.conditioners.items())
    prompt = parts.get(PROMPT)
    seconds = [one for one in map(parts.get, SECONDS) if isinstance(one, SecondsConditioner)]
    fits = conditioning.cross_attention == wanted and conditioning.vector == [*SECONDS] and len(seconds) == 2
    if not fits or not isinstance(prompt, CaptionConditioner):
        raise ValueError(
            f"{FORMAT} conditions on {', '.join(wanted)}, the seconds also as the global vector; got "
            f"{', '.join(conditioning.cross_attention)} and {', '.join(conditioning.vector) or 'no vector'}"
        )
    start, total = seconds
    if (start.low, start.high, start.dim) != (total.low, total.high, total.dim) or prompt.dim != start.dim:
        raise ValueError(f"{FORMAT} has one range and width for seconds_start and seconds_total, got two")
    return {
        "_class_name": "StableAudioProjectionModel",
        "conditioning_dim": start.dim,
        "max_value": start.high,
        "min_value": start.low,
        "text_encoder_dim": prompt.dim,
    }


def autoencoder_from_config(config: Options) -> OobleckAutoencoder:
    """The autoencoder of an ``AutoencoderOobleck``.

    Raises:
        ValueError: naming the option, if musegen has nothing like it.
    """
    channels, latents = config.size("encoder_hidden_size", 128), config.size("decoder_input_channels", 64)
    config.expect("decoder_channels", channels, default=128)
    if channels != 2 * latents:
        raise ValueError(f"{config.where}: expected encoder_hidden_size twice decoder_input_channels, got {channels}")
    codec = OobleckAutoencoder(
        channels,
        config.sizes("channel_multiples", [1, 2, 4, 8, 16]),
        config.sizes("downsampling_ratios", [2, 4, 4, 8, 8]),
        latents,
        config.size("audio_channels", 2),
        config.size("sampling_rate", 44100),
    )
    config.finish()
    return codec


def autoencoder_config(codec: OobleckAutoencoder) -> dict[str, Any]:
    """The inverse of `autoencoder_from_config`.

    Raises:
        ValueError: if diffusers has nothing like the autoencoder.
    """
    ours = codec.config["init_args"]
    if ours["channels"] != 2 * ours["latent_channels"]:
        raise ValueError(
            f"{FORMAT} has autoencoders with twice as many channels as latent channels, got {ours['channels']} and "
            f"{ours['latent_channels']}"
        )
    return {
        "_class_name": "AutoencoderOobleck",
        "audio_channels": ours["audio_channels"],
        "channel_multiples": ours["multiples"],
        "decoder_channels": ours["channels"],
        "decoder_input_channels": ours["latent_channels"],
        "downsampling_ratios": ours["strides"],
        "encoder_hidden_size": ours["channels"],
        "sampling_rate": ours["sample_rate"],
    }
