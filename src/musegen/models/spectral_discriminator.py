"""Judges of complex spectrograms, one for each resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musegen.models.discriminator import Discriminator, Verdict
from musegen.nn.spectral import ShortTimeFourier
from musegen.nn.weight_norm import Conv2d


class SpectralDiscriminator(Discriminator):
    """The multi-scale discriminator of complex short-time spectra; all audio channels are judged together.

    "High Fidelity Neural Audio Compression", 2022, https://arxiv.org/abs/2210.13438, which Stable Audio Open uses with
    64 channels and five sizes.

    Args:
        channels: width of the judges' layers.
        sizes: windows of the transforms, samples; one judge for each.
        audio_channels: 2 for stereo.
        channels_last: keep activations with their channels innermost, as tensor cores read them in half precision.
    """

    def __init__(
        self,
        channels: int = 64,
        sizes: Sequence[int] = (2048, 1024, 512, 256, 128),
        audio_channels: int = 2,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.judges = nn.ModuleList(_Judge(size, channels, audio_channels) for size in sizes)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, audio: Tensor) -> list[Verdict]:
        """Judge ``[batch, audio_channels, samples]``, one verdict for each size."""
        return [judge(audio, self.layout) for judge in self.judges]


class _Judge(nn.Module):
    """Convolutions over frequency × time, dilated in time and strided in frequency."""

    def __init__(self, size: int, channels: int, audio_channels: int) -> None:
        super().__init__()
        self.transform = ShortTimeFourier(size)
        self.layers = nn.ModuleList(
            [
                Conv2d(2 * audio_channels, channels, (9, 3)),
                *(Conv2d(channels, channels, (9, 3), stride=(2, 1), dilation=(1, dilation)) for dilation in (1, 2, 4)),
                Conv2d(channels, channels, (3, 3)),
            ]
        )
        self.score = Conv2d(channels, 1, (3, 3))

    def forward(self, audio: Tensor, layout: torch.memory_format) -> Verdict:
        spectrum = self.transform(audio)
        x = torch.cat([spectrum.real, spectrum.imag], 1).contiguous(memory_format=layout)
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return Verdict(self.score(x), features)
