"""Music to begin with: noised up to a point and generated anew from there (init audio, audio to audio)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.audio import read_audio, to_channels
from musegen.generation.packing import pack, unpack
from musegen.models.oobleck import OobleckAutoencoder

STRENGTH = 0.7
"""How much is made anew where nobody says; the other 30 % of the path is skipped."""


@dataclass(frozen=True, eq=False)
class Start:
    """What stage 2 begins with in place of pure noise.

    Args:
        latents: ``[channels, frames]``, float16, so that a clip's JSON can hold them.
        strength: how much of the path from noise to data is gone anew, between 0 (all stays) and 1 (nothing stays).
    """

    latents: Tensor
    strength: float

    @property
    def time(self) -> float:
        """The flow time to start at."""
        return 1 - self.strength

    def recipe(self) -> dict[str, Any]:
        """JSON-able; `from_recipe`'s input."""
        return {"strength": self.strength, "frames": self.latents.shape[-1], "latents": pack(self.latents)}

    @staticmethod
    def from_recipe(recipe: Mapping[str, Any]) -> Start:
        """The inverse of `recipe`.

        Raises:
            ValueError: if it is none.
        """
        try:
            frames = int(recipe["frames"])
            latents = unpack(recipe["latents"], "<f2", "start").view(-1, frames)
            return Start(latents, check_strength(recipe["strength"]))
        except (KeyError, TypeError, RuntimeError) as error:
            raise ValueError(f"start: expected latents, frames and strength, got none for {error}") from None


def check_strength(strength: float | None) -> float:
    """Return a strength, 0.7 by default.

    Raises:
        ValueError: if it is not between 0 and 1.
    """
    if strength is None:
        return STRENGTH
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 < strength < 1:
        raise ValueError(f"strength: expected a number above 0 and below 1, got {strength}")
    return float(strength)


@torch.inference_mode()
def encode_start(
    given: str | Path | Tensor, strength: float | None, vae: OobleckAutoencoder, device: torch.device, frames: int
) -> Start:
    """Encode audio to start from.

    Args:
        given: an audio file, or audio ``[channels, samples]`` at the codec's rate. What is longer than the frames is
            cut off, what is shorter is followed by silence.
        strength: see `Start`; None for 0.7.
        vae: the codec, on its device.
        device: where that is.
        frames: of the result.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no audio, or the strength is out of range.
    """
    strength = check_strength(strength)
    if not isinstance(given, str | Path | Tensor):
        raise ValueError(f"start: expected an audio file or audio [channels, samples], got {type(given).__name__}")
    audio = given if isinstance(given, Tensor) else read_audio(given, vae.sample_rate, vae.audio_channels)[0]
    if audio.ndim != 2 or not audio.shape[1] or not audio.isfinite().all():
        raise ValueError(f"start: expected audio [channels, samples] of finite samples, got {list(audio.shape)}")
    samples = frames * vae.downsampling
    stereo = to_channels(audio.float(), vae.audio_channels)[:, :samples]
    whole = torch.nn.functional.pad(stereo, (0, samples - stereo.shape[1]))
    latents = vae.encode_chunked(whole[None].to(device)).mean[0]
    return Start(latents.to("cpu", torch.float16), strength)
