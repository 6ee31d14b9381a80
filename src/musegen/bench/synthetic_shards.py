"""Shards of noise with the sizes of real ones, to measure reading where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

WINDOWS, DIM = 5, 512
CAPTION = "A slow sad piano ballad in D minor at 72 bpm, with strings and a soft drum kit."


@dataclass(frozen=True)
class Kind:
    """What a stage reads.

    Args:
        name: how it is called in a table.
        fields: of an item.
        batch_size: items of a batch.
        frames: length of latents; None for none.
        text: tokens and width of a caption's states; None for none.
        samples: how many are written.
    """

    name: str
    fields: tuple[str, ...]
    batch_size: int
    frames: int | None = None
    text: tuple[int, int] | None = None
    samples: int = 1024


LATENTS = Kind("latents of 47.55 s", ("embedding", "latents"), 8, frames=1024, samples=640)
MINILM = Kind("embedding + MiniLM's states", ("embedding", "text"), 256, text=(32, 384), samples=2560)
T5 = Kind("embedding + T5's states", ("embedding", "text"), 256, text=(128, 768), samples=768)
KINDS = (LATENTS, MINILM, T5)


def write_shards(folder: Path, kind: Kind, samples_per_shard: int = 256) -> None:
    """Write shards of noise: two captions where there are states of them, five windows where there are crops."""
    generator = np.random.default_rng(0)
    windows = 1 if kind.frames is None else WINDOWS
    facts = {
        "captions": {"main": CAPTION, "alt": CAPTION.lower()},
        "licence": "CC0-1.0",
        "seconds": 47.55,
        "latent_rate": 44100 / 2048,
        "windows": [[10.0 * number, 10.0 * number + 10.0] for number in range(windows)],
    }
    with ShardWriter(folder, {"noise": kind.name}, samples_per_shard) as writer:
        for number in range(kind.samples):
            vectors = generator.normal(size=(windows, DIM))
            embedding = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            latents = None if kind.frames is None else _noise(generator, (64, kind.frames))
            text = None if kind.text is None else [_noise(generator, kind.text) for _ in range(2)]
            writer.write(Sample(f"noise-{number:06d}", facts, embedding, latents, text=text))


def _noise(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.integers(-2000, 2000, shape, dtype=np.int16).astype(np.float16) / np.float16(1000)
