"""The data module: folders of shards as batches for training, validation, testing and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L

from musegen.data.items import FIELDS, Field, ItemMaker
from musegen.data.loader import Batches, Items, Loader
from musegen.data.random_access import ShardFolder
from musegen.data.shard_index import check_made_by, read_index


class ShardData(L.LightningDataModule):
    """Batches from folders of shards.

    A batch is a dict: ``key`` (list), ``seed`` (int64, one an item), and by ``fields`` ``caption`` (list),
    ``embedding`` ``[batch, dim]``, ``latents`` ``[batch, channels, frames]`` with ``mask`` ``[batch, frames]``,
    ``seconds_start`` and ``seconds_total`` ``[batch]``, ``audio`` ``[batch, 2, samples]``.

    Args:
        train: folders to learn from.
        val: folders of held-out items.
        test: folders to test on.
        predict: folders whose items are sampled, each once.
        fields: what a batch holds.
        batch_size: items of one process's batch.
        num_workers: processes that read and decode beside each training process.
        frames: length of latents; None takes them whole (a batch then needs equal lengths).
        samples: length of audio, likewise.
        seed: of shuffling, crops, captions and all randomness of training; the trainer's own seed is for weights.
        requires: what the shards must have been made with (``embedder``, ``codec`` …), compared with their index.
    """

    def __init__(
        self,
        train: Sequence[str] = (),
        val: Sequence[str] = (),
        test: Sequence[str] = (),
        predict: Sequence[str] = (),
        fields: Sequence[Field] = ("caption", "embedding"),
        batch_size: int = 16,
        num_workers: int = 0,
        frames: int | None = None,
        samples: int | None = None,
        seed: int = 0,
        requires: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        unknown = sorted(set(fields) - set(FIELDS))
        if unknown or not fields:
            raise ValueError(f"fields: expected some of {', '.join(FIELDS)}, got {', '.join(unknown) or 'none'}")
        for name, value, least in (("batch_size", batch_size, 1), ("num_workers", num_workers, 0)):
            if value < least:
                raise ValueError(f"{name}: expected {least} or more, got {value}")
        self.splits = {"train": list(train), "val": list(val), "test": list(test), "predict": list(predict)}
        self.fields, self.batch_size, self.num_workers = list(fields), batch_size, num_workers
        self.frames, self.samples, self.seed = frames, samples, seed
        self.requires = requires or {}

    @property
    def licences(self) -> list[str]:
        """Licences of the training data, by name."""
        return sorted({licence for folder in self.splits["train"] for licence in read_index(folder).licences})

    def train_dataloader(self) -> Loader:
        """Shuffled, in equal parts; a new one begins with the first epoch."""
        return self._loader("train", training=True)

    def val_dataloader(self) -> Loader | list[Any]:
        """Every held-out item once, in order."""
        return self._loader("val") if self.splits["val"] else []

    def test_dataloader(self) -> Loader:
        """Every test item once, in order."""
        return self._loader("test")

    def predict_dataloader(self) -> Loader:
        """Every item to be sampled once, in order."""
        return self._loader("predict")

    def _loader(self, split: str, training: bool = False) -> Loader:
        if not self.splits[split]:
            raise ValueError(f"data: expected folders of shards as `{split}`, got none")
        wanted = [field for field in self.fields if field != "caption"]
        folders = [ShardFolder(folder, wanted) for folder in self.splits[split]]
        for folder in folders:
            check_made_by(folder.folder, folder.index, self.requires)
        make = ItemMaker(self.fields, self.frames, self.samples, self.seed, training)
        items = Items(folders, make)
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        batches = Batches(len(items), self.batch_size, rank, world, self.seed, training)
        if training and len(batches) == 0:
            raise ValueError(
                f"{split}: expected at least {self.batch_size * world} samples for {world} processes with batches of "
                f"{self.batch_size}, got {len(items)}"
            )
        return Loader(items, batches, self.num_workers)
