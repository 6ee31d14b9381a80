"""Little folders of shards, uneven on purpose, whose contents say where they come from."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter

DIM, CHANNELS, LATENT_RATE, SAMPLE_RATE = 8, 4, 10.0, 1000
MADE_BY = {"embedding": {"class_path": "little", "revision": "1"}}


def unit(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def flac(seconds: float, channels: int = 2, rate: int = SAMPLE_RATE) -> bytes:
    """Audio whose sample n is n / 32768 on the left, and its negative on the right."""
    ramp = np.arange(round(seconds * rate), dtype=np.int16)
    buffer = io.BytesIO()
    samples = np.stack([ramp, -ramp], axis=1)[:, :channels]
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def little_sample(number: int, prefix: str = "piece", audio: bool = False, **facts: Any) -> Sample:
    """A piece of 4 + number mod 5 seconds; frame n of its latents holds n, channel 0 of them its number."""
    seconds = 4.0 + number % 5
    frames = round(seconds * LATENT_RATE)
    latents = np.broadcast_to(np.arange(frames, dtype=np.float32), (CHANNELS, frames)).copy()
    latents[0] = number
    windows = [[begin, min(begin + 2.0, seconds)] for begin in np.arange(0.0, seconds, 2.0).tolist()]
    facts = {
        "captions": {"main": f"{prefix} {number}", "short": f"short {number}", "long": f"long {number}"},
        "licence": "CC-BY-4.0" if number % 2 else "CC0-1.0",
        "seconds": seconds,
        "latent_rate": LATENT_RATE,
        "windows": windows,
    } | facts
    embedding = unit(number, len(windows))
    return Sample(f"{prefix}-{number:03d}", facts, embedding, latents, flac(seconds) if audio else None)


def little_folder(
    folder: Path, counts: Sequence[int] = (5, 1, 4), prefix: str = "piece", audio: bool = False
) -> list[str]:
    """Write shards of so many samples each; give the keys in order."""
    keys = []
    with ShardWriter(folder, MADE_BY, samples_per_shard=1000) as writer:
        for count in counts:
            for _ in range(count):
                sample = little_sample(len(keys), prefix, audio)
                writer.write(sample)
                keys.append(sample.key)
            writer.flush()
    return keys
