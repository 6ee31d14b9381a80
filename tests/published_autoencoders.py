"""Oobleck as stable-audio-tools and diffusers have it, to compare ours with."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helpers import randomise, require
from musegen.models.oobleck import OobleckAutoencoder, ResidualUnit

FULL: dict[str, Any] = {"channels": 128, "multiples": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8]}


def stable_audio(
    channels: int, multiples: Sequence[int], strides: Sequence[int], latent_channels: int = 64, audio_channels: int = 2
) -> nn.Module:
    """The autoencoder of stable-audio-tools, as Stable Audio Open's config builds it."""
    require("stable_audio_tools")
    from stable_audio_tools.models.autoencoders import AudioAutoencoder, OobleckDecoder, OobleckEncoder
    from stable_audio_tools.models.bottleneck import VAEBottleneck

    shape: dict[str, Any] = {"channels": channels, "c_mults": list(multiples), "strides": list(strides)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AudioAutoencoder(
            OobleckEncoder(in_channels=audio_channels, latent_dim=2 * latent_channels, use_snake=True, **shape),
            OobleckDecoder(
                out_channels=audio_channels, latent_dim=latent_channels, use_snake=True, final_tanh=False, **shape
            ),
            bottleneck=VAEBottleneck(),
            latent_dim=latent_channels,
            downsampling_ratio=2048,
            sample_rate=44100,
            io_channels=audio_channels,
        ).eval()


def diffusers(
    channels: int, multiples: Sequence[int], strides: Sequence[int], latent_channels: int = 64, audio_channels: int = 2
) -> nn.Module:
    """The autoencoder of diffusers; its encoder's output is as wide as the encoder, twice ``latent_channels``."""
    require("diffusers")
    from diffusers import AutoencoderOobleck

    assert channels == 2 * latent_channels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return AutoencoderOobleck(
            encoder_hidden_size=channels,
            downsampling_ratios=list(strides),
            channel_multiples=list(multiples),
            decoder_channels=channels,
            decoder_input_channels=latent_channels,
            audio_channels=audio_channels,
        ).eval()


UNIT = {"0": "snake1", "1": "conv1", "2": "snake2", "3": "conv2"}


def diffusers_name(name: str, blocks: int) -> str:
    """What diffusers calls a parameter of ours."""
    half, _, index, rest = name.split(".", 3)
    if index == "0":
        return f"{half}.conv1.{rest}"
    if int(index) > blocks:
        return f"{half}.{'snake1' if int(index) == blocks + 1 else 'conv2'}.{rest}"
    prefix = f"{half}.block.{int(index) - 1}"
    match = re.fullmatch(r"layers\.(\d)\.layers\.(\d)\.(.+)", rest)
    if match:
        place, part, rest = match.groups()
        unit = int(place) + 1 if half == "encoder" else int(place) - 1
        return f"{prefix}.res_unit{unit}.{UNIT[part]}.{rest}"
    match = re.fullmatch(r"layers\.(\d)\.(.+)", rest)
    assert match is not None
    place, rest = match.groups()
    part = {"encoder": {"3": "snake1", "4": "conv1"}, "decoder": {"0": "snake1", "1": "conv_t1"}}[half][place]
    return f"{prefix}.{part}.{rest}"


def diffusers_state(state: dict[str, Tensor], blocks: int) -> dict[str, Tensor]:
    """Our state dict as diffusers has it: Snake's vectors get two more axes."""
    return {
        diffusers_name(name, blocks): value[None, :, None] if value.ndim == 1 and "bias" not in name else value
        for name, value in state.items()
    }


def random_autoencoder(seed: int = 0, **shape: Any) -> OobleckAutoencoder:
    """Every parameter random, gains too; residual units tamed, so that the signal stays near unit size."""
    model = randomise(OobleckAutoencoder(**shape), seed)
    assert isinstance(model, OobleckAutoencoder)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, ResidualUnit):
                module.layers[3].weight_g.mul_(0.2)  # type: ignore[union-attr]
    return model.eval()
