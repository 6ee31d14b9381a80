"""The web app at toy size: the tiny pipeline, and ears that hear in its space."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

import tiny
from musegen.app.store.library import Library
from musegen.app.work.ears import Ears
from musegen.app.work.workshop import Workshop
from musegen.conditioning.base import Embedder


class TinyEars(Embedder):
    """Random projections of a spectrum."""

    dim = tiny.EMBEDDING
    sample_rate = tiny.RATE
    window_seconds = 0.25
    revision = "tiny-ears-1"
    licence = "CC0-1.0"

    def embed_audio(self, waveform: Tensor) -> Tensor:
        """See `Embedder.embed_audio`."""
        bands = torch.fft.rfft(waveform.float()).abs()[:, :1000].unflatten(1, (-1, 10)).mean(2)
        mixing = torch.randn(bands.shape[1], self.dim, generator=torch.Generator().manual_seed(5))
        return normalize(bands @ mixing + 1e-3, dim=1)


def workshop(folder: Path, fits: bool = True) -> Workshop:
    pipeline = tiny.pipeline()
    return Workshop(pipeline, Library(folder), Ears(TinyEars(), fits, pipeline.device))
