"""A description of music without learned weights, in the place of MuQ-MuLan where that is not to be had."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from musegen.conditioning.base import Embedder
from musegen.nn.spectral import LogMel, ShortTimeFourier, magnitude

BANDS = 80
PITCHES = 12
TEMPI = 84
LAGGED = 64

# How clearly each pitch class belongs to C major and to C minor. Version 1: what listeners judged, by Krumhansl,
# "Cognitive Foundations of Musical Pitch" (1990). Version 2: how often it is written, by Albrecht and Shanahan, "The
# Use of Large Corpora to Train a New Type of Key-Finding Algorithm" (2013), https://doi.org/10.1525/mp.2013.31.1.59.
PROFILES = {
    1: (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    2: (
        (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
        (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
    ),
}
KEY_SHARPNESS = 20.0


class SpectralEmbedder(Embedder):
    """512 numbers that say what music sounds like: timbre, harmony and rhythm, each a third of the vector's length.

    Timbre: mean, spread and change of 80 mel bands. Harmony: pitch classes of the whole and of the bass, and which of
    the 24 keys they are in. Rhythm: the autocorrelation of onsets at 84 tempi, and of low and high onsets at 64 lags
    each. It is no match for MuQ-MuLan and knows no text, but needs no weights: the small chain learns from it.

    Args:
        version: 2 hears harmony in the peaks of the spectrum and says how probable each key is; 1, of earlier models,
            hears it in all of the spectrum and says how well each key fits.
    """

    dim = 512
    sample_rate = 22050
    window_seconds = 10.0
    licence = "CC0-1.0"  # of what it computes: there are no weights

    def __init__(self, version: Literal[1, 2] = 2) -> None:
        super().__init__()
        if version not in PROFILES:
            raise ValueError(f"version: expected 1 or 2, got {version!r}")
        self.version, self.revision = version, f"spectral-{version}"
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
        profiles = [torch.tensor(mode).roll(tonic) for mode in PROFILES[version] for tonic in range(PITCHES)]
        self.register_buffer("profiles", torch.stack([_centred(profile) for profile in profiles]), persistent=False)

    @torch.no_grad()
    def embed_audio(self, waveform: Tensor) -> Tensor:
        """Embed windows of mono audio, ``[batch, samples]`` → unit vectors ``[batch, 512]``, float32."""
        waveform = waveform.float()
        loudness = waveform.square().mean(1, keepdim=True).sqrt()
        audio = (waveform / loudness.clamp(min=1e-5)).unsqueeze(1)
        mel = self.mel(audio)[:, 0]
        parts = (self._timbre(mel), self._harmony(audio), self._rhythm(mel))
        return torch.cat([_third(part) for part in parts], dim=1) / math.sqrt(len(parts))

    @staticmethod
    def _timbre(mel: Tensor) -> Tensor:
        mean = mel.mean(2)
        change = (mel[:, :, 1:] - mel[:, :, :-1]).abs().mean(2)
        return torch.cat([_centred(mean), _centred(mel.std(2)), 2 * _centred(change)], dim=1)

    def _harmony(self, audio: Tensor) -> Tensor:
        spectrum = magnitude(self.fine(audio))[:, 0]
        spectrum = torch.log1p(10 * spectrum) if self.version == 1 else _peaks(spectrum)
        frames = torch.einsum("bft,fp->btp", spectrum, self.classes)
        bass = torch.einsum("bft,fp->btp", spectrum, self.bass_classes)
        whole, low = (_unit(_centred(part.mean(1))) for part in (frames, bass))
        moving = _unit(_centred(frames.std(1)))
        if self.version == 1:
            keys = (whole + low) @ self.profiles.T
        else:
            keys = torch.softmax(KEY_SHARPNESS * _unit(whole + 0.5 * low) @ _unit(self.profiles).T, dim=1)
        return torch.cat([whole, low, moving, 2 * _unit(_centred(keys))], dim=1)

    @staticmethod
    def _rhythm(mel: Tensor) -> Tensor:
        rise = (mel[:, :, 1:] - mel[:, :, :-1]).clamp(min=0)
        rate = SpectralEmbedder.sample_rate / 256
        everything, low, high = rise.mean(1), rise[:, :12].mean(1), rise[:, 48:].mean(1)
        tempi = 40.0 * 2 ** (torch.arange(TEMPI, device=mel.device) / TEMPI * math.log2(240 / 40))
        lags = torch.linspace(0.1, 2.0, LAGGED, device=mel.device)
        parts = [(everything, 60.0 / tempi), (low, lags), (high, lags)]
        return torch.cat([_unit(_centred(_autocorrelation(onsets, times * rate))) for onsets, times in parts], dim=1)


def _peaks(spectrum: Tensor) -> Tensor:
    """How far each peak of a spectrum ``[batch, bins, frames]`` stands above its neighbourhood, in nepers; else 0."""
    columns = spectrum.transpose(1, 2)
    around = torch.nn.functional.avg_pool1d(columns, 101, 1, 50)
    highest = torch.nn.functional.max_pool1d(columns, 9, 1, 4)
    peaks = (columns == highest) & (columns > 2 * around)
    return (torch.log1p(columns / (around + 1e-4)) * peaks).transpose(1, 2)


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


def _third(part: Tensor) -> Tensor:
    """A part of the vector, of unit length: of silence too, which has no features and gets equal numbers."""
    silent = part.norm(dim=-1, keepdim=True) < 1e-6
    return torch.where(silent, torch.full_like(part, part.shape[-1] ** -0.5), _unit(part))


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1)
