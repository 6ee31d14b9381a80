"""A little corpus of noise, and little encoders of it, in a file that other processes can import."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from helpers import randomise
from musegen.conditioning.base import Embedder
from musegen.data.cache import Cache
from musegen.data.encoder import Encoder
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.models.oobleck import OobleckAutoencoder
from tiny import TinyEncoder

RATE = 1000


class Waves(Embedder):
    """Four numbers of a window of 2 s at 500 Hz: what its quarters sound like. It can be told to take its time.

    Args:
        revision: to tell two of them apart.
    """

    dim, sample_rate, window_seconds, licence = 4, 500, 2.0, "CC-BY-NC-4.0"

    def __init__(self, revision: str = "waves-1") -> None:
        super().__init__()
        self.revision = revision
        self.seen: list[tuple[int, ...]] = []

    def embed_audio(self, waveform: Tensor) -> Tensor:
        self.seen.append(tuple(waveform.shape))
        time.sleep(float(os.environ.get("LITTLE_CACHE_SLEEP", "0")))
        quarters = waveform.unflatten(1, (4, -1)).square().mean(2) + 1e-3
        return torch.nn.functional.normalize(quarters, dim=1)


def codec() -> OobleckAutoencoder:
    net = OobleckAutoencoder(channels=2, multiples=[1, 2], strides=[4, 8], latent_channels=3, sample_rate=800)
    randomise(net, scale=2.0)
    return net.eval()


def music(seconds: float, seed: int) -> bytes:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * RATE), 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise * np.linspace(0, 1, len(noise))[:, None], RATE, format="FLAC")
    return buffer.getvalue()


def songs(folder: Path, count: int = 7, first: int = 0) -> Path:
    """Songs of 3 s, 3.5 s … as shards of three; more of them are appended."""
    with ShardWriter(folder, {"source": "noise"}, samples_per_shard=3, append=True) as writer:
        for number in range(first, count):
            facts = {"captions": [f"noise {number}", "more noise"], "licence": "CC-BY-4.0", "tempo": 90 + number}
            writer.write(Sample(f"noise-{number}", facts, audio=music(3 + 0.5 * number, number)))
    return folder


def encoder(revision: str = "waves-1", batch: int = 4) -> Encoder:
    """All three at once; windows are short, so that a song has several."""
    return Encoder(
        Waves(revision), codec(), "weights-1", TinyEncoder(), codec_licences=["MIT"], batch=batch, chunk_frames=16
    ).eval()


def encode(source: Path, out: Path, parts: int = 1, encoder: Encoder | None = None, size: int = 2) -> list[str]:
    """Cache a folder in as many parts as that, one after another; give the keys of what was encoded."""
    made = []
    with Cache(source, out, encoder or globals()["encoder"](), size) as cache:
        missing = cache.begin()
        for part in range(parts):
            for number in missing[part::parts]:
                made += [sample.key for sample in cache.encode(number)]
        cache.finish()
    return made


def everything(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder, hidden ones too."""
    files = sorted(path for path in folder.rglob("*") if not path.is_dir())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
