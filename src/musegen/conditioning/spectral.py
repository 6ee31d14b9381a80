"""A description of music without learned weights, in the place of MuQ-MuLan where that is not to be had."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from musegen.conditioning.base import Embedder
from musegen.nn.spectral import LogMel, ShortTimeFourier, magnitude

BANDS = 80
PITCHES = 12
TEMPI = 84
LAGGED = 64

# How clearly each pitch class belongs to C major and to C minor: the probe-tone profiles of Krumhansl, "Cognitive
# Foundations of Musical Pitch" (1990).
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


class SpectralEmbedder(Embedder):
    """512 numbers that say what music sounds like: timbre, harmony and rhythm, each a third of the vector's length.

    Timbre: mean, spread and change of 80 mel bands. Harmony: pitch classes of the whole and of the bass, and how well
    each of the 24 keys fits. Rhythm: the autocorrelation of onsets at 84 tempi, and of low and high onsets at 64 lags
    each. It is no match for MuQ-MuLan and knows no text, but needs no weights: the small chain learns from it.
    """

    dim = 512
    sample_rate = 22050
    window_seconds = 10.0
    revision = "spectral-1"
    licence = "Apache-2.0"

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel(self.sample_rate, 1024, BANDS)
        self.fine = ShortTimeFourier(8192)
        frequencies = torch.arange(8192 // 2 + 1) * self.sample_rate / 8192
        pitch = 12 * torch.log2(frequencies.clamp(min=1.0) / 440.0) + 69
        nearness = torch.exp(-0.5 * ((pitch - pitch.round()) / 0.2) ** 2)
        classes = torch.nn.functional.one_hot(pitch.round().long() % 12, PITCHES) * nearness[:, None]
        self.classes: Tensor
        self.bass_classes: Tensor
        self.profiles: Tensor
        self.register_buffer("classes", _within(classes, frequencies, 130.0, 2100.0), persistent=False)
        self.register_buffer("bass_classes", _within(classes, frequencies, 40.0, 260.0), persistent=False)
        profiles = [torch.tensor(mode).roll(tonic) for mode in (MAJOR, MINOR) for tonic in range(PITCHES)]
        self.register_buffer("profiles", torch.stack([_centred(profile) for profile in profiles]), persistent=False)

    @torch.no_grad()
    def embed_audio(self, waveform: Tensor) -> Tensor:
        """Embed windows of mono audio, ``[batch, samples]`` → unit vectors ``[batch, 512]``, float32."""
        waveform = waveform.float()
        loudness = waveform.square().mean(1, keepdim=True).sqrt()
        audio = (waveform / loudness.clamp(min=1e-5)).unsqueeze(1)
        mel = self.mel(audio)[:, 0]
        parts = (self._timbre(mel), self._harmony(audio), self._rhythm(mel))
        return torch.cat([torch.nn.functional.normalize(part, dim=1) for part in parts], dim=1) / math.sqrt(len(parts))

    @staticmethod
    def _timbre(mel: Tensor) -> Tensor:
        mean = mel.mean(2)
        change = (mel[:, :, 1:] - mel[:, :, :-1]).abs().mean(2)
        return torch.cat([_centred(mean), _centred(mel.std(2)), 2 * _centred(change)], dim=1)

    def _harmony(self, audio: Tensor) -> Tensor:
        spectrum = torch.log1p(10 * magnitude(self.fine(audio))[:, 0])
        frames = torch.einsum("bft,fp->btp", spectrum, self.classes)
        bass = torch.einsum("bft,fp->btp", spectrum, self.bass_classes)
        whole, low = (_unit(_centred(part.mean(1))) for part in (frames, bass))
        moving = _unit(_centred(frames.std(1)))
        fit = _unit(_centred((whole + low) @ self.profiles.T))
        return torch.cat([whole, low, moving, 2 * fit], dim=1)

    @staticmethod
    def _rhythm(mel: Tensor) -> Tensor:
        rise = (mel[:, :, 1:] - mel[:, :, :-1]).clamp(min=0)
        rate = SpectralEmbedder.sample_rate / 256
        everything, low, high = rise.mean(1), rise[:, :12].mean(1), rise[:, 48:].mean(1)
        tempi = 40.0 * 2 ** (torch.arange(TEMPI, device=mel.device) / TEMPI * math.log2(240 / 40))
        lags = torch.linspace(0.1, 2.0, LAGGED, device=mel.device)
        parts = [(everything, 60.0 / tempi), (low, lags), (high, lags)]
        return torch.cat([_unit(_centred(_autocorrelation(onsets, times * rate))) for onsets, times in parts], dim=1)


def _autocorrelation(onsets: Tensor, lags: Tensor) -> Tensor:
    """The autocorrelation ``[batch, lags]`` of onsets ``[batch, frames]`` at lags in frames, interpolated."""
    onsets = _centred(onsets)
    frames = onsets.shape[1]
    power = torch.fft.rfft(onsets, n=2 * frames).abs().square()
    whole = torch.fft.irfft(power)[:, :frames] / torch.arange(frames, 0, -1, device=onsets.device)
    whole = whole / whole[:, :1].clamp(min=1e-12)
    lags = lags.clamp(max=frames - 2.0)
    before = lags.floor().long()
    share = lags - before
    return (1 - share) * whole[:, before] + share * whole[:, before + 1]


def _within(classes: Tensor, frequencies: Tensor, low: float, high: float) -> Tensor:
    inside = ((frequencies >= low) & (frequencies <= high)).float()
    return classes * inside[:, None] / inside.sum()


def _centred(x: Tensor) -> Tensor:
    return x - x.mean(-1, keepdim=True)


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)
