"""Oobleck against stable-audio-tools and diffusers: names and shapes at full size, values on copied random weights."""

from __future__ import annotations

import os

import pytest
import torch

from musegen.models.oobleck import OobleckAutoencoder
from published_autoencoders import FULL, diffusers, diffusers_state, random_autoencoder, stable_audio

REDUCED = {"channels": 16, "multiples": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8], "latent_channels": 8}


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def test_names_and_shapes_at_full_size_are_stable_audio_tools():
    with torch.device("meta"):
        ours, theirs = OobleckAutoencoder(**FULL), stable_audio(**FULL)
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())


def test_names_and_shapes_at_full_size_are_diffusers():
    with torch.device("meta"):
        ours, theirs = OobleckAutoencoder(**FULL), diffusers(**FULL)
    assert shapes(diffusers_state(ours.state_dict(), blocks=5)) == shapes(theirs.state_dict())


def compare(shape: dict, frames: int) -> None:
    ours = random_autoencoder(**shape)
    tools, library = stable_audio(**shape), diffusers(**shape)
    tools.load_state_dict(ours.state_dict(), strict=True)
    library.load_state_dict(diffusers_state(ours.state_dict(), blocks=5), strict=True)
    generator = torch.Generator().manual_seed(0)
    audio = torch.randn(2, 2, frames * 2048, generator=generator)
    latents = torch.randn(2, ours.latent_channels, frames, generator=generator)
    with torch.no_grad():
        posterior, decoded = ours.encode(audio), ours.decode(latents)
        their_posterior = library.encode(audio).latent_dist
        torch.manual_seed(1)
        _, information = tools.encode(audio, return_info=True)
        differences = {
            "encoder, stable-audio-tools": torch.cat([posterior.mean, _scale(posterior.std)], 1) - tools.encoder(audio),
            "posterior's mean, diffusers": posterior.mean - their_posterior.mean,
            "posterior's std, diffusers": posterior.std - their_posterior.std,
            "KL, stable-audio-tools": (posterior.kl().mean() - information["kl"]) / information["kl"],
            "KL, diffusers": (posterior.kl().mean() - their_posterior.kl()) / information["kl"],
            "decoder, stable-audio-tools": decoded - tools.decode(latents),
            "decoder, diffusers": decoded - library.decode(latents).sample,
        }
    print(f"\nstd of mean {posterior.mean.std():.2f}, of std {posterior.std.std():.2f}, of audio {decoded.std():.2f}")
    for name, difference in differences.items():
        print(f"{name}: {difference.abs().max():.1e}")
    assert min(posterior.mean.std(), posterior.std.std(), decoded.std()) > 0.1
    assert max(float(difference.abs().max()) for difference in differences.values()) <= 1e-5


def _scale(std: torch.Tensor) -> torch.Tensor:
    """The encoder's output that makes this std."""
    return (std.double() - 1e-4).expm1().log().float()


def test_values_at_reduced_width():
    compare(REDUCED, frames=6)


@pytest.mark.slow
@pytest.mark.skipif(os.environ.get("MUSEGEN_FULL_SIZE") != "1", reason="the full size runs where MUSEGEN_FULL_SIZE=1")
def test_values_at_full_size():
    compare(FULL, frames=22)
