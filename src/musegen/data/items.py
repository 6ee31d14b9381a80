"""From a sample of a shard to an item of a batch: one caption, one crop, and what is true of that crop."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import torch

from musegen.data.crops import crop_latents, crop_start, embedding_of, read_crop, unpacked
from musegen.data.decoded import DecodedSongs
from musegen.data.sample import PREDICTED, Sample
from musegen.data.shard_reader import DamagedShardError
from musegen.data.stored_sample import StoredSample
from musegen.flow.noise import hash_seed

Field = Literal["caption", "embedding", "latents", "audio", "text", "facts"]
FIELDS: tuple[Field, ...] = ("caption", "embedding", "latents", "audio", "text", "facts")


@dataclass(frozen=True)
class ItemMaker:
    """Makes items; every choice follows from the run's seed, the epoch and the sample's key.

    Args:
        fields: what an item holds.
        frames: length of latents: longer ones are cropped, shorter ones padded with zeros and masked.
        samples: length of audio, treated likewise.
        seed: of the run.
        training: choose caption and crop at random; else the first caption and the middle.
        sample_rate: that audio must have, Hz.
        packed: leave audio of 16 bits as int16 and latents as float16, half the size, until they are where they are
            needed (see `unpacked`).
        decoded: keeps songs of shards decoded; None to decode them each time.
    """

    fields: Sequence[Field]
    frames: int | None = None
    samples: int | None = None
    seed: int = 0
    training: bool = True
    sample_rate: int = 44100
    packed: bool = False
    decoded: DecodedSongs | None = None

    def __call__(self, sample: Sample | StoredSample, epoch: int = 0, repeat: int = 0) -> dict[str, Any]:
        """Make the item of a sample.

        Args:
            sample: from a shard.
            epoch: counts in training only.
            repeat: how often the same epoch had this sample before.

        Raises:
            ValueError: naming the sample, if it lacks what the item should hold; `DamagedShardError` if its shard is
                damaged.
        """
        seed = self.seed_of(sample.key, epoch, repeat) if self.training else self._lasting_seed(sample)
        item: dict[str, Any] = {"key": sample.key, "seed": seed}
        choice = seed if self.training else None
        begin, end = 0.0, None
        try:
            if "latents" in self.fields:
                begin, end = self._latents(item, sample, choice)
            if "audio" in self.fields:
                begin, end = self._audio(item, sample, choice, at=None if end is None else begin)
            if "embedding" in self.fields:
                windows = None if end is None else sample.facts.get("windows")
                item["embedding"] = embedding_of(_there(sample, "embedding"), windows, begin, end)
            if "caption" in self.fields:
                captions = _there(sample, "captions")
                item["caption"] = captions[drawn_caption(choice, len(captions))]
            if "facts" in self.fields:
                item["facts"] = dict(sample.facts)
            if "text" in self.fields:
                item["text"] = sample.text_of(drawn_caption(choice, sample.texts))
        except DamagedShardError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            reason = f"expected {error} among its facts" if isinstance(error, KeyError) else str(error)
            raise ValueError(f"sample {sample.key!r}: {reason}") from None
        return item

    def seed_of(self, key: str, epoch: int, repeat: int = 0) -> int:
        """Where all randomness of an item in training comes from."""
        return hash_seed(self.seed, epoch, key, *([repeat] if repeat else []))

    def _lasting_seed(self, sample: Sample | StoredSample) -> int:
        """Of an item that is no matter of chance; a predicted sample goes on with the seed it was drawn with."""
        predicted = sample.facts.get("source") == PREDICTED and "seed" in sample.facts
        return int(sample.facts["seed"]) if predicted else self.seed_of(sample.key, 0)

    def _latents(self, item: dict[str, Any], sample: Sample | StoredSample, choice: int | None) -> tuple[float, float]:
        latents = _there(sample, "latents")
        length, rate = latents.shape[1], float(sample.facts["latent_rate"])
        frames = self.frames or length
        start = crop_start(length, frames, choice)
        item["latents"], item["mask"] = crop_latents(latents, start, frames, self.packed)
        item["seconds_start"] = start / rate
        item["seconds_total"] = float(sample.facts["seconds"])
        return start / rate, min(start + frames, length) / rate

    def _audio(
        self, item: dict[str, Any], sample: Sample | StoredSample, choice: int | None, at: float | None
    ) -> tuple[float, float]:
        if self.samples is None:
            raise ValueError("expected `samples`, the length of audio in a batch, got none")
        with self._song(sample) as song:
            crop = read_crop(song, self.samples, choice, self.sample_rate, at, self.packed)
        item["audio"], begin, end, total = crop
        item.setdefault("seconds_start", begin)
        item.setdefault("seconds_total", float(sample.facts.get("seconds", total)))
        return begin, end

    def _song(self, sample: Sample | StoredSample) -> BinaryIO:
        if self.decoded is None or isinstance(sample, Sample):
            return io.BytesIO(_there(sample, "audio"))
        return self.decoded.open(*sample.origin, lambda: _there(sample, "audio"))


def drawn_caption(choice: int | None, count: int) -> int:
    """Which of so many captions an item has; the same of its texts and of their states."""
    return hash_seed(choice, "caption") % count if choice is not None and count > 1 else 0


def _there(sample: Sample | StoredSample, what: str) -> Any:
    value = getattr(sample, what)
    if value is None or len(value) == 0:
        raise ValueError(f"expected {what}, got none")
    return value


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Items to a batch: strings and facts as lists, numbers and arrays as tensors.

    Text states of any lengths become ``text_states`` ``[batch, tokens, dim]``, zero where there is no token, and
    ``text_mask`` ``[batch, tokens]``.

    Raises:
        ValueError: if the items' shapes differ.
    """
    batch: dict[str, Any] = {}
    for name, first in items[0].items():
        values = [item[name] for item in items]
        if isinstance(first, str | dict):
            batch[name] = values
        elif name == "text":
            batch["text_states"], batch["text_mask"] = _padded(items)
        elif isinstance(first, torch.Tensor):
            for item in items:
                if item[name].shape != first.shape:
                    shapes = f"{list(first.shape)} of {items[0]['key']!r}, {list(item[name].shape)} of {item['key']!r}"
                    raise ValueError(f"expected {name} of one shape in a batch, got {shapes}")
            if name == "audio" and any(value.dtype != first.dtype for value in values):
                values = [unpacked(value) for value in values]
            batch[name] = torch.stack(values)
        else:
            batch[name] = torch.tensor(values, dtype=torch.int64 if isinstance(first, int) else torch.float32)
    return batch


def _padded(items: Sequence[dict[str, Any]]) -> tuple[torch.Tensor, torch.Tensor]:
    texts: list[np.ndarray] = [item["text"] for item in items]
    dim, lengths = texts[0].shape[1], [len(text) for text in texts]
    states = np.empty((len(texts), max(lengths), dim), texts[0].dtype)
    for row, text, item in zip(states, texts, items, strict=True):
        if text.shape[1] != dim:
            widths = f"{dim} of {items[0]['key']!r}, {text.shape[1]} of {item['key']!r}"
            raise ValueError(f"expected text states of one width in a batch, got {widths}")
        row[: len(text)] = text
        row[len(text) :] = 0
    return torch.from_numpy(states), real_tokens(lengths)


def real_tokens(lengths: Sequence[int]) -> torch.Tensor:
    """A mask ``[batch, tokens]``, True for as many tokens as each text has."""
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
