"""Short-time spectra, in float32 whatever the precision of training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musegen.torchaudio_guard import import_torchaudio


class ShortTimeFourier(nn.Module):
    """The complex spectrogram under a Hann window, hopping by a quarter of it.

    Args:
        size: of the window and the transform, samples.
        unit_power: divide by the window's root energy, so that white noise of standard deviation 1 has magnitudes about
            1 at every size; otherwise plain sums.
    """

    def __init__(self, size: int, unit_power: bool = True) -> None:
        super().__init__()
        if size < 4 or size % 4:
            raise ValueError(f"expected a window of 4, 8, 12 … samples, got {size}")
        self.size = size
        window = torch.hann_window(size)
        if unit_power:
            window = window / window.square().sum().sqrt()
        self.window: Tensor
        self.register_buffer("window", window, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """``[batch, channels, samples]`` to complex ``[batch, channels, size / 2 + 1, frames]``; edges meet silence."""
        batch, channels, samples = audio.shape
        dtype = torch.promote_types(self.window.dtype, torch.float32)
        spectrum = torch.stft(
            audio.reshape(batch * channels, samples).to(dtype),
            self.size,
            self.size // 4,
            window=self.window.to(dtype),
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.unflatten(0, (batch, channels))


def magnitude(spectrum: Tensor) -> Tensor:
    """The absolute value of a complex spectrum, with a finite gradient at 0."""
    return (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()


class LogMel(nn.Module):
    """Logarithm (base 10) of the mel spectrum of magnitudes.

    Args:
        sample_rate: Hz.
        size: of the transform's window, samples.
        bands: number of mel bands between 0 and half the sample rate (Slaney's scale and norm).
        floor: magnitudes under this count as this.
    """

    def __init__(self, sample_rate: int, size: int = 2048, bands: int = 128, floor: float = 1e-5) -> None:
        super().__init__()
        functional = import_torchaudio().functional
        self.transform = ShortTimeFourier(size, unit_power=False)
        self.floor = floor
        with torch.device("cpu"):  # it looks at its values, which the meta device has not
            filters = functional.melscale_fbanks(
                size // 2 + 1, 0.0, sample_rate / 2, bands, sample_rate, norm="slaney", mel_scale="slaney"
            )
        self.filters: Tensor
        self.register_buffer("filters", filters.T.contiguous().to(self.transform.window.device), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """``[batch, channels, samples]`` to ``[batch, channels, bands, frames]``."""
        with torch.autocast(audio.device.type, enabled=False):
            mel = self.filters.float() @ magnitude(self.transform(audio))
            return mel.clamp(min=self.floor).log10()
