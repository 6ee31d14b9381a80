"""The data module: folders of shards as batches for training, validation, testing and prediction."""

from __future__ import annotations

import glob
import hashlib
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as L

from musegen.data.crops import unpacked
from musegen.data.decoded import DecodedSongs
from musegen.data.items import FIELDS, Field, ItemMaker
from musegen.data.loader import Items, Loader
from musegen.data.order import EpochOrder, OrderedBatches, TrainingBatches
from musegen.data.random_access import ShardFolder
from musegen.data.remote import is_url, local
from musegen.data.shard_index import ShardIndex, check_made_by
from musegen.data.shard_reader import DamagedShardError

Split = Literal["train", "val", "test", "predict"]


class ShardData(L.LightningDataModule):
    """Batches from folders of shards.

    A batch is a dict: ``key`` (list), ``seed`` (int64, one an item, the hash of run seed, epoch and key), and by
    ``fields`` ``caption`` (list), ``embedding`` ``[batch, dim]``, ``latents`` ``[batch, channels, frames]`` with
    ``mask`` ``[batch, frames]``, ``audio`` ``[batch, 2, samples]``; with latents or audio also ``seconds_start`` and
    ``seconds_total`` ``[batch]``. Of ``text`` come ``text_states`` ``[batch, tokens, dim]`` and ``text_mask``
    ``[batch, tokens]``; held-out items have the ``caption`` beside them. ``facts`` is a list of what is known of each
    piece. A cropped item has the embedding of what its crop contains.

    Training takes the batches of all processes from one permutation an epoch, so that two processes with batches of 8
    see what one with batches of 16 sees, and leaves out what does not fill a batch for all of them. Validation and test
    see every sample once, each process equally many batches; prediction sees every sample once. It splits the data
    itself: leave the trainer's ``use_distributed_sampler`` off. A run goes on exactly where its checkpoint was made,
    also in the middle of an epoch, with the same number of processes and any number of workers.

    Args:
        train: folders to learn from; ``*`` and ``?`` match names. A folder may lie elsewhere: a URL (``https://…``,
            ``s3://…``), or ``pipe:`` and a command with ``{}`` for a file's name. Its shards are fetched once, whole.
        val: folders of held-out items.
        test: folders to test on.
        predict: folders whose items are sampled, each once.
        weights: how often each of ``train`` comes in an epoch: 2 for twice, 0.5 for another half each time.
        fields: what a batch holds.
        batch_size: items of one process's batch.
        num_workers: processes that read and decode beside each training process.
        frames: length of latents, cropped at random in training and padded with zeros; None takes them whole (a batch
            then needs equal lengths).
        samples: length of audio, likewise.
        sample_rate: that audio must have, Hz.
        seed: of shuffling, crops, captions and all randomness of training; the trainer's own seed is for weights.
        requires: what the shards must have been made by, a part of ``made_by`` in their index.
        on_damage: ``stop`` at a damaged shard, or ``skip``: warn, and take other samples in place of the damaged ones.
        cache: where shards from elsewhere are kept; None for ``musegen/shards`` among the user's caches.
        decoded: folder in which songs of 16 bits stay decoded after their first reading, 5 MB for 29 s of stereo: each
            later crop is read from there, and its FLAC not looked at again. None to decode each crop.
    """

    def __init__(
        self,
        train: Sequence[str] = (),
        val: Sequence[str] = (),
        test: Sequence[str] = (),
        predict: Sequence[str] = (),
        weights: Sequence[float] | None = None,
        fields: Sequence[Field] = ("caption", "embedding"),
        batch_size: int = 16,
        num_workers: int = 0,
        frames: int | None = None,
        samples: int | None = None,
        sample_rate: int = 44100,
        seed: int = 0,
        requires: dict[str, Any] | None = None,
        on_damage: Literal["stop", "skip"] = "stop",
        cache: str | None = None,
        decoded: str | None = None,
    ) -> None:
        super().__init__()
        unknown = sorted(set(fields) - set(FIELDS))
        if unknown or not fields:
            raise ValueError(f"fields: expected some of {', '.join(FIELDS)}, got {', '.join(unknown) or 'none'}")
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("num_workers", num_workers, 0),
            ("frames", frames, 1),
            ("samples", samples, 1),
            ("seed", seed, 0),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name}: expected {least} or more, got {value}")
        if "audio" in fields and samples is None:
            raise ValueError("samples: expected the length of audio in a batch, got none")
        if weights is not None and len(weights) != len(train):
            raise ValueError(f"weights: expected {len(train)}, one for each of train, got {len(weights)}")
        self.splits: dict[Split, list[str]] = {
            "train": list(train),
            "val": list(val),
            "test": list(test),
            "predict": list(predict),
        }
        self.weights = None if weights is None else list(weights)
        self.fields, self.batch_size, self.num_workers = list(fields), batch_size, num_workers
        self.frames, self.samples, self.sample_rate, self.seed = frames, samples, sample_rate, seed
        self.requires = requires or {}
        self.on_damage: Literal["stop", "skip"] = on_damage
        self.cache = cache
        self.decoded = None if decoded is None else DecodedSongs(decoded)
        self._loaders: weakref.WeakSet[Loader] = weakref.WeakSet()
        self.allow_zero_length_dataloader_with_multiple_devices = True  # a process may have nothing to predict

    @property
    def licences(self) -> list[str]:
        """Licences of the training data, by name."""
        return sorted({licence for index in self._indexes().values() for licence in index.licences})

    @property
    def made_by(self) -> dict[str, dict[str, Any]]:
        """What made the training data, by folder."""
        return {folder: dict(index.made_by) for folder, index in self._indexes().items()}

    def _indexes(self) -> dict[str, ShardIndex]:
        folders = [folder for name in self.splits["train"] for folder in matching("train", name)]
        return {str(folder): ShardFolder(folder, check=False, cache=self.cache).index for folder in folders}

    def check(self, command: str, processes: int = 1) -> None:
        """Look at the folders that a command is going to read, before it writes anything.

        Args:
            command: ``fit``, ``validate``, ``test`` or ``predict``.
            processes: that will share them.

        Raises:
            OSError: if a folder is not there.
            ValueError: if one is damaged, lacks a field, was made by something else, or has too few samples; or if two
                items that are to be predicted have one key, and so would have one file.
        """
        if command == "fit":
            self._training(0, processes)
        if command == "validate" or (command == "fit" and self.splits["val"]):
            self._ordered("val", 0, processes)
        if command in ("test", "predict"):
            self._ordered("test" if command == "test" else "predict", 0, processes)
        if command == "predict":
            self._check_keys()

    def _check_keys(self) -> None:
        seen: dict[str, Path] = {}
        for folder in self._folders("predict")[0]:
            for shard in folder.shards:
                try:
                    keys = shard.table.keys
                except DamagedShardError:
                    if self.on_damage == "stop":
                        raise
                    continue
                for key in keys:
                    if seen.setdefault(key, shard.path) != shard.path:
                        places = f"{seen[key].parent} and in {folder.folder}"
                        raise ValueError(f"predict: expected unique keys, got {key!r} in {places}")

    def prepare_data(self) -> None:
        """Fetch what lies elsewhere, on one process of a machine; the others find it there."""
        what = self.trainer and self.trainer.state.fn and self.trainer.state.fn.value
        splits: dict[Any, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("predict",),
        }
        for name in (name for split in splits.get(what, ()) for name in self.splits[split]):
            if is_url(name):
                self._fetch(name)

    def _fetch(self, name: str) -> None:
        from rich.console import Console
        from rich.progress import track

        shards = ShardFolder(name, cache=self.cache).shards
        for shard in track(shards, f"fetching {name}", console=Console(stderr=True)):
            try:
                shard.fetch()
            except DamagedShardError:
                if self.on_damage == "stop":
                    raise

    def train_dataloader(self) -> Loader:
        """Shuffled, in equal parts; a new one begins with the first epoch."""
        return self._training(*self._process())

    def _training(self, rank: int, world: int) -> Loader:
        folders, weights = self._folders("train")
        order = EpochOrder([len(folder) for folder in folders], weights, self.seed)
        batches = TrainingBatches(order, self.batch_size, rank, world)
        if len(batches) == 0:
            needed = f"{self.batch_size * world} samples ({world} processes with batches of {self.batch_size})"
            raise ValueError(f"train: expected at least {needed}, got {len(order)}")
        identity = {
            "processes": world,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "weights": weights,
            "shards": _identity(folders),
        }
        return self._loader(self._items(folders, training=True), batches, identity)

    def val_dataloader(self) -> Loader | list[Any]:
        """Every held-out item once, in order; no batches where there are no folders."""
        return self._ordered("val", *self._process()) if self.splits["val"] else []

    def test_dataloader(self) -> Loader:
        """Every test item once, in order."""
        return self._ordered("test", *self._process())

    def predict_dataloader(self) -> Loader:
        """Every item to be sampled once, in order."""
        return self._ordered("predict", *self._process())

    def _ordered(self, split: Split, rank: int, world: int) -> Loader:
        folders, _ = self._folders(split)
        items = self._items(folders, training=False)
        try:
            batches = OrderedBatches(len(items), self.batch_size, rank, world, equal=split != "predict")
        except ValueError as error:
            raise ValueError(f"{split}: {error}") from None
        return self._loader(items, batches)

    def on_before_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Leave a mask that hides nothing out of a batch to learn from: attention without one is quicker."""
        training = self.trainer is not None and self.trainer.training
        if not training or "mask" not in batch or not bool(batch["mask"].all()):
            return batch
        return {name: part for name, part in batch.items() if name != "mask"}

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Audio and latents that came to their device as 16 bits become float32 there: workers send half as much."""
        return {**batch, **{name: unpacked(batch[name]) for name in ("audio", "latents") if name in batch}}

    def teardown(self, stage: str) -> None:
        """End the worker processes of a run."""
        for loader in list(self._loaders):
            loader.close()

    def _loader(
        self, items: Items, batches: TrainingBatches | OrderedBatches, identity: dict[str, Any] | None = None
    ) -> Loader:
        loader = Loader(items, batches, self.num_workers, identity)
        self._loaders.add(loader)
        return loader

    def _items(self, folders: list[ShardFolder], training: bool) -> Items:
        fields: list[Field] = list(self.fields)
        if "text" in fields and not training and "caption" not in fields:
            fields.append("caption")  # for whoever shows held-out items
        packed = self.trainer is not None  # which then unpacks it
        make = ItemMaker(fields, self.frames, self.samples, self.seed, training, self.sample_rate, packed, self.decoded)
        return Items(folders, make, self.on_damage)

    def _folders(self, split: Split) -> tuple[list[ShardFolder], list[float] | None]:
        names = self.splits[split]
        if not names:
            raise ValueError(f"data: expected folders of shards as `{split}`, got none")
        folders: list[ShardFolder] = []
        weights: list[float] = []
        for number, name in enumerate(names):
            for path in matching(split, name):
                folder = ShardFolder(
                    path, [field for field in self.fields if field != "facts"], self.on_damage == "stop", self.cache
                )
                check_made_by(folder.folder, folder.index, self.requires)
                folders.append(folder)
                weights.append(self.weights[number] if self.weights and split == "train" else 1.0)
        if not any(map(len, folders)):
            raise ValueError(f"{split}: expected samples, got none in {', '.join(names)}")
        return folders, weights if self.weights and split == "train" else None

    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def matching(split: str, pattern: str) -> list[str | Path]:
    """The folders that a pattern names; a URL is none.

    Raises:
        ValueError: if it has ``*``, ``?`` or ``[`` and matches nothing.
    """
    if is_url(pattern):
        return [pattern]
    pattern = str(local(pattern))
    if not glob.has_magic(pattern):
        return [Path(pattern)]
    found = sorted(path for path in map(Path, glob.glob(pattern)) if path.is_dir())
    if not found:
        raise ValueError(f"{split}: expected folders like {pattern}, got none")
    return list(found)


def _identity(folders: list[ShardFolder]) -> str:
    """Sixteen digits that differ where the shards do."""
    checksums = [[shard.sha256 for shard in folder.index.shards] for folder in folders]
    return hashlib.sha256(repr(checksums).encode()).hexdigest()[:16]
