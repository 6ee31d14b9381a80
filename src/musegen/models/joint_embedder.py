"""Two small towers that put music and captions into one space."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musegen.config import Configurable
from musegen.nn.spectral import LogMel, ShortTimeFourier, magnitude

LOWEST = 27.5
"""Hz, of the lowest pitch that is looked at: A0."""


class JointEmbedder(Configurable, nn.Module):
    """Music and captions as unit vectors of one space, in the place of MuQ-MuLan.

    The audio tower sees mono audio twice: as mel bands with short windows, for rhythm and timbre, and as pitches with
    long windows, for harmony. Each goes through convolutions over time, and what is pooled of both becomes one vector.
    The text tower reads the token states of a frozen text encoder with a small transformer.

    "MuLan: A Joint Embedding of Music Audio and Natural Language", 2022, https://arxiv.org/abs/2208.12415.

    Args:
        dim: of the vectors.
        text_dim: of a token's state.
        channels: width of the convolutions.
        depth: residual blocks of each view; the dilation doubles from one to the next.
        text_width: width of the text tower.
        text_depth: its layers.
        sample_rate: of the audio, Hz.
        seconds: of audio that one vector describes.
        bands: of the mel view.
        pitch_steps: of the pitch view, for each semitone.
    """

    def __init__(
        self,
        dim: int = 512,
        text_dim: int = 384,
        channels: int = 96,
        depth: int = 4,
        text_width: int = 96,
        text_depth: int = 2,
        sample_rate: int = 22050,
        seconds: float = 10.0,
        bands: int = 80,
        pitch_steps: int = 2,
    ) -> None:
        super().__init__()
        if text_width % 32:
            raise ValueError(f"text_width: expected a multiple of 32, got {text_width}")
        self.dim, self.text_dim, self.sample_rate, self.seconds = dim, text_dim, sample_rate, seconds
        with torch.device("cpu"):  # what is no weight has values even in a model that waits for its weights
            self.mel = LogMel(sample_rate, 1024, bands)
            self.pitches = Pitches(sample_rate, steps=pitch_steps)
        self.rhythm = View(bands, channels, depth, stride=4)
        self.harmony = View(self.pitches.count, channels, depth, stride=1)
        self.audio_head = Head(self.rhythm.dim + self.harmony.dim, dim)
        self.text = TextTower(text_dim, text_width, text_depth)
        self.text_head = Head(2 * text_width, dim)

    @property
    def window(self) -> int:
        """Samples that one vector describes."""
        return round(self.seconds * self.sample_rate)

    def embed_audio(self, audio: Tensor) -> Tensor:
        """Mono audio ``[batch, samples]`` at the model's own rate to unit vectors ``[batch, dim]``, float32.

        How loud the audio is does not matter.
        """
        audio = audio.float()
        loudness = audio.square().mean(1, keepdim=True).sqrt()
        audio = (audio / loudness.clamp(min=1e-4)).unsqueeze(1)
        with torch.autocast(audio.device.type, enabled=False):
            mel, pitches = self.mel(audio)[:, 0], self.pitches(audio)[:, 0]
        pooled = torch.cat([self.rhythm(mel + 1), self.harmony(pitches)], 1)
        return F.normalize(self.audio_head(pooled).float(), dim=1)

    def embed_text(self, states: Tensor, mask: Tensor) -> Tensor:
        """Token states ``[batch, tokens, text_dim]`` and their mask to unit vectors ``[batch, dim]``, float32."""
        return F.normalize(self.text_head(self.text(states, mask)).float(), dim=1)


class Pitches(nn.Module):
    """How much of each pitch there is: a long window's magnitudes, gathered around notes and parts of semitones.

    Args:
        sample_rate: Hz.
        size: of the window, samples.
        steps: for each semitone.
        semitones: from the lowest pitch upwards.
    """

    def __init__(self, sample_rate: int, size: int = 8192, steps: int = 2, semitones: int = 84) -> None:
        super().__init__()
        self.transform = ShortTimeFourier(size)
        self.count = steps * semitones
        centres = LOWEST * 2 ** (torch.arange(self.count) / (12 * steps))
        frequencies = torch.arange(size // 2 + 1) * sample_rate / size
        distance = 12 * steps * torch.log2(frequencies.clamp(min=1.0)[:, None] / centres)
        width = (12 * steps * sample_rate / size / centres / math.log(2)).clamp(min=1.0)  # low notes: a bin is wider
        filters = (1 - distance.abs() / width).clamp(min=0)
        filters[0] = 0
        self.filters: Tensor
        self.register_buffer("filters", filters / filters.sum(0).clamp(min=1e-6), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """``[batch, channels, samples]`` to ``[batch, channels, pitches, frames]``: logarithms, about 0 to 3."""
        spectrum = magnitude(self.transform(audio))
        return torch.log1p(10 * torch.einsum("bcft,fp->bcpt", spectrum, self.filters.to(spectrum)))


class View(nn.Module):
    """Convolutions over time, then mean, deviation and largest value of each channel over time.

    Args:
        features: of a frame.
        channels: width.
        depth: residual blocks.
        stride: of the frames at the entrance.
    """

    def __init__(self, features: int, channels: int, depth: int, stride: int) -> None:
        super().__init__()
        self.dim = 3 * channels
        self.entrance = nn.Conv1d(features, channels, 2 * stride + 1, stride=stride, padding=stride)
        self.blocks = nn.ModuleList(Block(channels, 2 ** (number % 5)) for number in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, features, frames]`` to ``[batch, dim]``."""
        x = self.entrance(x)
        for block in self.blocks:
            x = block(x)
        x = x.float()
        return torch.cat([x.mean(2), (x.var(2, correction=0) + 1e-6).sqrt(), x.amax(2)], 1)


class Block(nn.Module):
    """A residual block: a convolution by channel over time, then a small network at each frame.

    "A ConvNet for the 2020s", 2022, https://arxiv.org/abs/2201.03545.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, channels, 7, padding=3 * dilation, dilation=dilation, groups=channels)
        self.norm = nn.GroupNorm(1, channels)
        self.widen = nn.Conv1d(channels, 3 * channels, 1)
        self.narrow = nn.Conv1d(3 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, channels, frames]`` to the same."""
        return x + self.narrow(F.gelu(self.widen(self.norm(self.mix(x)))))


class TextTower(nn.Module):
    """A small transformer over token states; mean over real tokens beside the first one's state."""

    def __init__(self, text_dim: int, width: int, depth: int) -> None:
        super().__init__()
        self.entrance = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, width))
        layer = nn.TransformerEncoderLayer(
            width, width // 32, 3 * width, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """``[batch, tokens, text_dim]`` to ``[batch, 2 · width]``."""
        x = self.layers(self.entrance(states), src_key_padding_mask=~mask)
        real = mask.unsqueeze(2).to(x.dtype)
        return torch.cat([(x * real).sum(1) / real.sum(1), x[:, 0]], 1)


class Head(nn.Module):
    """From what is pooled to a vector: linear, beside a small network."""

    def __init__(self, width: int, dim: int, hidden: int = 128) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.straight = nn.Linear(width, dim)
        self.bent = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, width]`` to ``[batch, dim]``."""
        x = self.norm(x)
        return self.straight(x) + self.bent(x)
