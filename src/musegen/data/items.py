"""From a sample of a shard to an item of a batch: one caption, one crop, and what is true of that crop."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import soundfile
import torch

from musegen.data.sample import Sample
from musegen.flow.noise import hash_seed

Field = Literal["caption", "embedding", "latents", "audio"]
FIELDS: tuple[Field, ...] = ("caption", "embedding", "latents", "audio")


@dataclass(frozen=True)
class ItemMaker:
    """Makes items; every choice follows from the run's seed, the epoch and the sample's key.

    Args:
        fields: what an item holds.
        frames: length of latents: longer ones are cropped at random, shorter ones padded with zeros and masked.
        samples: length of audio, treated likewise.
        seed: of the run.
        training: choose caption and crop at random; else the first caption and the beginning.
    """

    fields: Sequence[Field]
    frames: int | None = None
    samples: int | None = None
    seed: int = 0
    training: bool = True

    def __call__(self, sample: Sample, epoch: int = 0) -> dict[str, Any]:
        """Make the item of a sample.

        Raises:
            ValueError: if the sample lacks what the item should hold.
        """
        seed = hash_seed(self.seed, epoch if self.training else 0, sample.key)
        if not self.training and "seed" in sample.facts:  # a predicted sample goes on with the seed it was drawn with
            seed = int(sample.facts["seed"])
        item: dict[str, Any] = {"key": sample.key, "seed": seed}
        begin, end = 0.0, math.inf
        if "latents" in self.fields:
            begin, end = self._latents(item, sample)
        if "audio" in self.fields:
            begin, end = self._audio(item, sample)
        if "embedding" in self.fields:
            item["embedding"] = torch.from_numpy(self._embedding(sample, begin, end))
        if "caption" in self.fields:
            captions = sample.captions or [""]
            item["caption"] = captions[self._choose(item, "caption", len(captions))]
        return item

    def _choose(self, item: dict[str, Any], what: str, count: int) -> int:
        return hash_seed(item["seed"], what) % count if self.training and count > 1 else 0

    def _latents(self, item: dict[str, Any], sample: Sample) -> tuple[float, float]:
        latents = sample.latents
        if latents is None:
            raise ValueError(f"{sample.key}: expected latents in the shard, got none: cache them first")
        length, rate = latents.shape[1], float(sample.facts["latent_rate"])
        frames = self.frames or length
        start = self._choose(item, "crop", length - frames + 1) if length > frames else 0
        part = torch.from_numpy(latents[:, start : start + frames].astype(np.float32))
        real = part.shape[1]
        item["latents"] = torch.nn.functional.pad(part, (0, frames - real))
        item["mask"] = torch.arange(frames) < real
        item["seconds_start"] = start / rate
        item["seconds_total"] = float(sample.facts["seconds"])
        return start / rate, (start + real) / rate

    def _audio(self, item: dict[str, Any], sample: Sample) -> tuple[float, float]:
        if sample.audio is None:
            raise ValueError(f"{sample.key}: expected audio in the shard, got none")
        with soundfile.SoundFile(io.BytesIO(sample.audio)) as file:
            rate, length = file.samplerate, file.frames
            wanted = self.samples or length
            start = self._choose(item, "crop", length - wanted + 1) if length > wanted else 0
            file.seek(start)
            part = torch.from_numpy(file.read(wanted, dtype="float32", always_2d=True).T.copy())
        part = part.expand(2, -1) if part.shape[0] == 1 else part[:2]
        item["audio"] = torch.nn.functional.pad(part, (0, wanted - part.shape[1]))
        return start / rate, (start + part.shape[1]) / rate

    @staticmethod
    def _embedding(sample: Sample, begin: float, end: float) -> np.ndarray:
        """The normalised mean of the windows that a crop meets, each by how much of it is in the crop."""
        if sample.embedding is None:
            raise ValueError(f"{sample.key}: expected an embedding in the shard, got none: cache it first")
        windows = sample.embedding.astype(np.float32)
        if len(windows) > 1 and math.isfinite(end):
            times = np.asarray(sample.facts["windows"], dtype=np.float64)
            shares = np.clip(np.minimum(times[:, 1], end) - np.maximum(times[:, 0], begin), 0, None)
            weights = shares if shares.sum() > 0 else np.eye(len(windows))[-1]
        else:
            weights = np.ones(len(windows))
        mean = (weights[:, None] * windows).sum(0)
        return (mean / max(float(np.linalg.norm(mean)), 1e-8)).astype(np.float32)


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Items to a batch: strings and keys as lists, numbers and arrays as tensors."""
    batch: dict[str, Any] = {}
    for name, first in items[0].items():
        values = [item[name] for item in items]
        if isinstance(first, str):
            batch[name] = values
        elif isinstance(first, torch.Tensor):
            batch[name] = torch.stack(values)
        else:
            batch[name] = torch.tensor(values, dtype=torch.int64 if isinstance(first, int) else torch.float32)
    return batch
