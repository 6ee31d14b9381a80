"""Latents of pieces of any lengths, computed in batches of windows that are equally long."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from musegen.models.oobleck import OobleckAutoencoder
from musegen.nn.chunks import Window, windows


class Latents:
    """Latents of one piece, which are filled in window by window.

    Args:
        channels: of the latents.
        length: in frames.

    Attributes:
        frames: ``[channels, length]``, float32, on the CPU.
    """

    def __init__(self, channels: int, length: int) -> None:
        self.frames = torch.zeros(channels, length)
        self.missing = length

    @property
    def done(self) -> bool:
        """Whether all of it is there."""
        return self.missing == 0

    def fill(self, window: Window, latents: Tensor) -> None:
        """Take what a window keeps.

        Args:
            window: which one.
            latents: all of the window, ``[channels, frames]``.
        """
        kept = latents[:, window.first - window.start : window.last - window.start]
        self.frames[:, window.first : window.last] = kept
        self.missing -= window.last - window.first


class LatentBatches:
    """Collects windows of the same length until there are enough for a batch.

    Windows have the size and the surroundings that `OobleckAutoencoder.encode_chunked` gives them, so that all but the
    windows of short pieces are equally long.

    Args:
        codec: that encodes.
        batch: windows at once.
        chunk_frames: frames that a window contributes.
    """

    def __init__(self, codec: OobleckAutoencoder, batch: int = 8, chunk_frames: int = 128) -> None:
        self.codec, self.batch, self.chunk_frames = codec, batch, chunk_frames
        self.context = codec.encoder_context
        self._waiting: dict[int, list[tuple[Tensor, Window, Latents]]] = {}

    def add(self, audio: Tensor) -> Latents:
        """Take a piece, ``[audio_channels, samples]``; its latents are complete by the next `flush`."""
        step = self.codec.downsampling
        frames = self.codec.frames(audio.shape[-1])
        audio = F.pad(audio, (0, frames * step - audio.shape[-1]))
        latents = Latents(self.codec.latent_channels, frames)
        for window in windows(frames, self.chunk_frames, self.context):
            alike = self._waiting.setdefault(window.stop - window.start, [])
            alike.append((audio[:, window.start * step : window.stop * step], window, latents))
            if len(alike) == self.batch:
                self._encode(window.stop - window.start)
        return latents

    def flush(self) -> None:
        """Encode all that waits."""
        for length in sorted(self._waiting):
            self._encode(length)

    def _encode(self, length: int) -> None:
        alike = self._waiting.pop(length)
        means = self.codec.encode(torch.stack([audio for audio, _, _ in alike])).mean.float().cpu()
        for mean, (_, window, latents) in zip(means, alike, strict=True):
            latents.fill(window, mean)
