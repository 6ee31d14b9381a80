"""A loader whose batches are a pure function of (seed, epoch, number).

Any sample can be read by its position, so going on after a stop is starting at a batch's number: nothing is read twice
or skipped, for any number of worker processes.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from torch.utils.data import DataLoader, Dataset

from musegen.data.damage import SKIPPED, Damage
from musegen.data.items import ItemMaker, collate
from musegen.data.order import OrderedBatches, Place, TrainingBatches
from musegen.data.pairs import PairReader
from musegen.data.random_access import ShardFolder
from musegen.data.shard_reader import DamagedShardError
from musegen.data.stored_sample import StoredSample
from musegen.flow.noise import hash_seed

DIVIDING = ("processes", "batch_size")
"""What divides an epoch into batches; from one epoch to the next it may change."""

ATTEMPTS = 100
"""How many samples in a row may be damaged before that is no accident."""


@dataclass(frozen=True)
class Failure:
    """What went wrong in a worker process, in one line: an exception would arrive with the worker's whole stack."""

    message: str


class Items(Dataset[dict[str, Any]]):
    """Items of several folders, asked for by place, a batch at a time.

    Args:
        folders: their positions follow each other.
        make: makes an item of a sample.
        on_damage: ``stop`` at a damaged sample, or ``skip`` it: say so in the batch (see `Damage`), and take another
            sample in its place, the same one in every run.
    """

    def __init__(
        self, folders: Sequence[ShardFolder], make: ItemMaker, on_damage: Literal["stop", "skip"] = "stop"
    ) -> None:
        self.folders, self.make, self.on_damage = list(folders), make, on_damage
        self._begins = [0, *accumulate(len(folder) for folder in folders)]
        self._skipped: list[str] = []
        self._pairs = PairReader(self.folders, make) if PairReader.can(make) else None

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, place: Place) -> dict[str, Any]:
        """Read a sample and make an item of it."""
        epoch, position, repeat = place
        for attempt in range(ATTEMPTS):
            try:
                with self.open(position) as sample:
                    return self.make(sample, epoch, repeat)
            except DamagedShardError as error:
                if self.on_damage == "stop":
                    raise
                self._skipped.append(str(error))
                position = hash_seed(self.make.seed, "instead", epoch, place[1], attempt) % len(self)
        last = self._skipped[-1]
        raise DamagedShardError(
            f"on_damage: {ATTEMPTS} damaged samples in a row are too many to skip, the last: {last}"
        )

    def __getitems__(self, places: list[Place]) -> dict[str, Any] | Failure:
        """Read a batch, or say why not."""
        try:
            if self._pairs is not None:
                with suppress(ValueError, OSError):  # what is wrong is found below, and dealt with as was asked
                    return self._pairs.read(places)
            batch = collate([self[place] for place in places])
            skipped, self._skipped = self._skipped, []
            return {**batch, SKIPPED: skipped} if skipped else batch
        except (ValueError, OSError) as error:
            return Failure(str(error))

    def open(self, position: int) -> StoredSample:
        """A sample that reads what it is asked for; to be used in a ``with``."""
        number = bisect_right(self._begins, position) - 1
        return self.folders[number].open(position - self._begins[number])


class Loader:
    """Loads batches; its state is an epoch and a number of batches.

    It is a plain iterable of known length, not a DataLoader: the Trainer leaves it as it is.

    Args:
        items: what is loaded.
        batches: of which places.
        num_workers: processes that read and decode beside the training process; 0 reads in it.
        identity: what must be the same where a run goes on, by name.
    """

    def __init__(
        self,
        items: Items,
        batches: TrainingBatches | OrderedBatches,
        num_workers: int = 0,
        identity: dict[str, Any] | None = None,
    ) -> None:
        self.batches = batches
        self.identity = identity or {}
        self._loader: DataLoader[dict[str, Any]] = DataLoader(
            items,
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=_as_it_is,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            prefetch_factor=4 if num_workers else None,
            pin_memory=torch.cuda.is_available(),
        )
        self.epoch, self.position = 0, 0
        self._begun = False
        self._damage = Damage()

    def __len__(self) -> int:
        """Batches of an epoch (what is left of a resumed one may be fewer)."""
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Go through the next epoch, or the rest of a resumed one."""
        if self._begun:
            self.epoch, self.position = self.epoch + 1, 0
        self._begun = True
        self.batches.epoch, self.batches.start = self.epoch, self.position
        self._damage.sum_up()
        for batch in self._loader:
            if isinstance(batch, Failure):
                raise ValueError(batch.message)
            self._damage.add(batch.pop(SKIPPED, ()))
            self.position += 1
            yield batch
        self._damage.sum_up()

    @property
    def workers(self) -> list[int]:
        """Process numbers of the workers that run now."""
        running = getattr(self._loader._iterator, "_workers", [])
        return [worker.pid for worker in running]

    def close(self) -> None:
        """End the worker processes; another epoch would begin new ones.

        Left to Python's collector of cycles (a Trainer is one), torch waits five seconds for each of them.
        """
        self._loader._iterator = None
        self._damage.sum_up()

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs, and what it must be compared with."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "batches": len(self),
            "identity": dict(self.identity),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a state was taken.

        After the last batch of an epoch the next one may have another number of processes or another batch size.

        Raises:
            ValueError: if the data, its seed, or within an epoch the number of processes or the batch size are not what
                they were.
        """
        over = state["position"] >= state.get("batches", len(self))
        changed = {name: state["identity"].get(name) for name, now in self.identity.items()}
        changed = {name: then for name, then in changed.items() if then != self.identity[name]}
        for name, then in changed.items():
            if not (over and name in DIVIDING):
                raise ValueError(
                    f"cannot go on with this checkpoint's data: expected {name} {then} as it was, "
                    f"got {self.identity[name]} {self._advice(name)}"
                )
        if changed:
            now = ", ".join(f"{name} {self.identity[name]}, not {then}" for name, then in changed.items())
            warnings.warn(f"the next epoch has {now}: its batches are others than they would have been", stacklevel=2)
        self.epoch, self.position, self._begun = state["epoch"], state["position"], False
        if over:
            self.epoch, self.position = self.epoch + 1, 0

    @staticmethod
    def _advice(name: str) -> str:
        if name in DIVIDING:
            return "(a checkpoint made at the end of an epoch may go on so; this one is of the middle of one)"
        return "(to start a new run from its weights, convert it and use them as `pretrained`)"


def _as_it_is(batch: Any) -> Any:
    """What `Items` gives is a batch already."""
    return batch
