"""The web app at toy size: the tiny pipeline, and ears that hear in its space."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

import tiny
from musegen.app.store.library import Library
from musegen.app.work.corpus import read_corpus
from musegen.app.work.ears import Ears
from musegen.app.work.workshop import Workshop
from musegen.audio import encode_audio
from musegen.conditioning.base import Embedder
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.flow.noise import item_noise
from musegen.generation.baseline import Baseline


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


def workshop(folder: Path, fits: bool = True, corpus: Path | None = None, baseline: bool = False) -> Workshop:
    pipeline = tiny.pipeline()
    ears = Ears(TinyEars(), fits, pipeline.device)
    return Workshop(
        pipeline,
        Library(folder),
        ears,
        None if corpus is None else read_corpus(corpus, ears.embedder),
        Baseline(tiny.regression(), pipeline.device) if baseline else None,
    )


def corpus(folder: Path, audio: bool = False, codec: str = "") -> Path:
    """Shards of seven pieces as `TinyEars` hear them, with audio or with the latents of a codec, or with neither."""
    made_by = {"embedding": {"revision": TinyEars.revision}, "latents": {"weights": codec}}
    with ShardWriter(folder, made_by) as writer:
        for number in range(7):
            windows = item_noise([number, number + 100], (tiny.EMBEDDING,)).numpy()
            facts = {
                "captions": [f"a piece {number}, and more of it"],
                "licence": "CC0-1.0",
                "seconds": 0.5,
                "windows": [[0.0, 0.25], [0.25, 0.5]],
                "latent_rate": tiny.RATE / 256,
                "style": "waltz" if number % 2 else "polka",
                "tempo": 60 + 20 * number,
                "key": "F# minor" if number % 2 else "C",
                "mode": "minor" if number % 2 else "major",
            }
            latents = item_noise([number], (tiny.CHANNELS, 16))[0].numpy() if codec else None
            sound = 0.1 * item_noise([number], (2, tiny.RATE // 2))[0]
            file = encode_audio(sound, tiny.RATE, "flac") if audio else None
            unit = windows / np.linalg.norm(windows, axis=1, keepdims=True)
            writer.write(Sample(f"piece-{number}", facts, unit, latents, file))
    return folder
