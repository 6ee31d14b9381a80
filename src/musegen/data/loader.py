"""A loader whose batches are a pure function of (seed, epoch, number).

Any sample can be read by its position, so an epoch is one permutation of all samples, every process takes its equal
part of each global batch, and going on after a stop is starting at a batch's number: nothing is read twice or skipped,
for any number of worker processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from musegen.data.items import ItemMaker, collate
from musegen.data.random_access import ShardFolder
from musegen.flow.noise import hash_seed


class Items(Dataset[dict[str, Any]]):
    """Items of several folders, asked for by (epoch, position)."""

    def __init__(self, folders: list[ShardFolder], make: ItemMaker) -> None:
        self.folders, self.make = folders, make
        self.ends = np.cumsum([len(folder) for folder in folders])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def __getitem__(self, place: tuple[int, int]) -> dict[str, Any]:
        epoch, position = place
        number = int(np.searchsorted(self.ends, position, side="right"))
        begin = self.ends[number - 1] if number else 0
        return self.make(self.folders[number][int(position - begin)], epoch)


class Batches:
    """The places of one process's batches of an epoch.

    Training shuffles and gives every process the same number of full batches, dropping the remainder of the epoch; it
    takes part in the next one's permutation again. Otherwise every item comes exactly once, in order.

    Args:
        items: how many there are.
        batch_size: items of one process's batch.
        rank: which process.
        world: how many processes.
        seed: of the run.
        training: shuffle and drop the remainder.
    """

    def __init__(self, items: int, batch_size: int, rank: int, world: int, seed: int, training: bool) -> None:
        self.items, self.batch_size, self.rank, self.world = items, batch_size, rank, world
        self.seed, self.training = seed, training
        self.epoch = self.start = 0

    def __len__(self) -> int:
        if self.training:
            return self.items // (self.batch_size * self.world)
        return -(-len(range(self.rank, self.items, self.world)) // self.batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        epoch, start = self.epoch, self.start
        if self.training:
            generator = np.random.Generator(np.random.Philox(key=hash_seed(self.seed, "epoch", epoch)))
            order = generator.permutation(self.items)
            for number in range(start, len(self)):
                begin = (number * self.world + self.rank) * self.batch_size
                yield [(epoch, int(position)) for position in order[begin : begin + self.batch_size]]
        else:
            mine = range(self.rank, self.items, self.world)
            for number in range(start, len(self)):
                yield [(0, position) for position in mine[number * self.batch_size : (number + 1) * self.batch_size]]


class Loader:
    """Loads batches; its state is an epoch and a number of batches.

    Args:
        items: what is loaded.
        batches: of which places.
        num_workers: processes that read and decode beside the training process; 0 reads in it.
    """

    def __init__(self, items: Items, batches: Batches, num_workers: int = 0) -> None:
        self.batches = batches
        self._loader: DataLoader[dict[str, Any]] = DataLoader(
            items,
            batch_sampler=batches,  # type: ignore[arg-type]
            collate_fn=collate,
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            prefetch_factor=4 if num_workers else None,
        )
        self.epoch, self.position = 0, 0
        self._begun = False

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self._begun:
            self.epoch, self.position = self.epoch + 1, 0
        self._begun = True
        self.batches.epoch, self.batches.start = self.epoch, self.position
        for batch in self._loader:
            self.position += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """What resuming needs, and what it must be compared with."""
        batches = self.batches
        return {
            "epoch": self.epoch,
            "position": self.position,
            "items": batches.items,
            "world": batches.world,
            "batch_size": batches.batch_size,
            "seed": batches.seed,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where a state was taken.

        Raises:
            ValueError: if the data, its seed, the number of processes or the batch size are not what they were.
        """
        now = self.state_dict()
        for name, what in (
            ("items", "samples in the shards"),
            ("world", "processes"),
            ("batch_size", "items a batch"),
            ("seed", "as the data's seed"),
        ):
            if state[name] != now[name]:
                raise ValueError(
                    f"cannot resume in the middle of an epoch: the checkpoint was made with {state[name]} {what}, "
                    f"now there are {now[name]}"
                )
        self.epoch, self.position, self._begun = state["epoch"], state["position"], False
        if self.position >= len(self):
            self.epoch, self.position = self.epoch + 1, 0
