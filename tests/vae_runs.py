"""A little codec stage, its audio and its trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader

from musegen.models.oobleck import OobleckAutoencoder
from musegen.models.reconstruction_loss import MultiResolutionSTFT
from musegen.models.spectral_discriminator import SpectralDiscriminator
from musegen.stages.oobleck_vae import OobleckVAE


def stage(seed: int = 0, discriminator: bool = True, **options: Any) -> OobleckVAE:
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "autoencoder": OobleckAutoencoder(channels=6, multiples=[1, 2], strides=[4, 4], latent_channels=4),
        "discriminator": SpectralDiscriminator(channels=4, sizes=(256, 64)) if discriminator else None,
        "reconstruction": MultiResolutionSTFT(sizes=(512, 128, 32)),
        "waveform_weight": 1.0,
        "optimizer": lambda parameters: torch.optim.AdamW(parameters, lr=1e-2, betas=(0.8, 0.99)),
    }
    return OobleckVAE(**{**settings, **options})


def items(count: int, samples: int = 1024) -> list[dict[str, Any]]:
    """Chords of two random tones, panned."""
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(samples) / 44100
    made = []
    for index in range(count):
        tones = torch.sin(2 * torch.pi * (200 + 2000 * torch.rand(2, 1, generator=generator)) * time)
        audio = torch.rand(2, 2, generator=generator) @ tones * 0.4
        made.append({"key": f"item{index}", "audio": audio, "seed": torch.tensor(1000 + index)})
    return made


def loader(count: int = 4, batch: int = 2) -> DataLoader:
    return DataLoader(items(count), batch_size=batch)  # type: ignore[arg-type]


def trainer(folder: Path, **options: Any) -> L.Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "default_root_dir": folder,
        "num_sanity_val_steps": 0,
    }
    return L.Trainer(**{**settings, **options})


def flat(module: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in module.parameters()])
