"""Write shards of random embeddings and latents at Stable Audio Open's real size, to measure speed and memory with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from musegen.arguments import call
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

RATE = 44100 / 2048
FRAMES = 1024


def random_shards(out: Path, items: int) -> None:
    """Write them, 128 KB an item.

    Args:
        out: folder of the shards.
        items: how many.
    """
    chance = np.random.default_rng(0)
    with ShardWriter(out, {"source": "random"}, samples_per_shard=100) as writer:
        for item in range(items):
            embedding = chance.standard_normal(512)
            facts = {
                "captions": [f"random piece number {item}"],
                "licence": "CC0-1.0",
                "source": "random",
                "seconds": FRAMES / RATE,
                "latent_rate": RATE,
            }
            latents = chance.standard_normal((64, FRAMES), dtype=np.float32)
            writer.write(Sample(f"random-{item:06d}", facts, embedding / np.linalg.norm(embedding), latents))


if __name__ == "__main__":
    call(random_shards, sys.argv[1:], "random_shards.py")
