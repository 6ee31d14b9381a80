"""Write shards of random embeddings and latents at Stable Audio Open's real size, to measure speed and memory with."""

from __future__ import annotations

import sys

import numpy as np

from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

if __name__ == "__main__":
    out, items = sys.argv[1], int(sys.argv[2])
    chance = np.random.default_rng(0)
    rate = 44100 / 2048
    with ShardWriter(out, {"source": "random"}, samples_per_shard=100) as writer:
        for item in range(items):
            embedding = chance.standard_normal(512)
            facts = {
                "captions": [f"random piece number {item}"],
                "licence": "CC0-1.0",
                "source": "random",
                "seconds": 1024 / rate,
                "latent_rate": rate,
            }
            latents = chance.standard_normal((64, 1024), dtype=np.float32)
            writer.write(Sample(f"random-{item:06d}", facts, embedding / np.linalg.norm(embedding), latents))
