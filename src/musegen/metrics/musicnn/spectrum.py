"""What musicnn sees of music: windows of a logarithmic mel spectrum."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musegen.metrics.musicnn.network import BANDS, FFT, FRAMES, HOP, SAMPLE_RATE
from musegen.torchaudio_guard import import_torchaudio


class MusicnnSpectrum(nn.Module):
    """``log10(1 + 10000 power)`` of 96 mel bands of mono audio at 16 kHz, as librosa computes them."""

    def __init__(self) -> None:
        super().__init__()
        filters = import_torchaudio().functional.melscale_fbanks(
            FFT // 2 + 1, 0.0, SAMPLE_RATE / 2, BANDS, SAMPLE_RATE, norm="slaney", mel_scale="slaney"
        )
        self.filters: Tensor
        self.window: Tensor
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, mono: Tensor) -> Tensor:
        """``[samples]`` → windows ``[n, 187, 96]`` that follow each other; one of a clip that is too short, repeated.

        What is left over after the last whole window, up to three seconds, is not heard.
        """
        spectrum = torch.stft(mono.float(), FFT, HOP, window=self.window, pad_mode="constant", return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (1 + 10000 * (power.T @ self.filters)).log10()
        if len(mel) < FRAMES:
            mel = mel.repeat(-(-FRAMES // len(mel)), 1)
        whole = len(mel) // FRAMES
        return mel[: whole * FRAMES].unflatten(0, (whole, FRAMES))
