"""Which samples come when: the order of an epoch, and each process's share of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from musegen.flow.noise import hash_seed

Place = tuple[int, int, int]
"""Epoch, position of a sample, and how often this epoch had it before."""


class EpochOrder:
    """Orders of the samples of several folders.

    Args:
        sizes: samples of each folder; their positions follow each other.
        weights: how often each folder's samples come in an epoch: 2 for twice, 0.5 for a half of them, another half
            each epoch; None for once.
        seed: of the run.

    Raises:
        ValueError: for weights that are not one above 0 for each folder.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float] | None = None, seed: int = 0) -> None:
        if weights is not None and (len(weights) != len(sizes) or not all(weight > 0 for weight in weights)):
            raise ValueError(f"weights: expected {len(sizes)} numbers above 0, one a folder, got {list(weights)}")
        self.sizes = list(sizes)
        self.counts = [
            max(1, round(size * weight)) if size else 0
            for size, weight in zip(sizes, weights or [1.0] * len(sizes), strict=True)
        ]
        self.seed = seed

    def __len__(self) -> int:
        """Places of an epoch, the same number in each."""
        return sum(self.counts)

    def shuffled(self, epoch: int) -> np.ndarray:
        """One permutation of an epoch's samples: position and repeat, ``[places, 2]``."""
        generator = np.random.Generator(np.random.Philox(key=hash_seed(self.seed, "order", epoch)))
        parts, base = [], 0
        for size, count in zip(self.sizes, self.counts, strict=True):
            index = np.arange(count)
            positions = (
                index if count == size else np.tile(generator.permutation(size), -(-count // max(1, size)))[:count]
            )
            parts.append(np.stack([base + positions, index // max(1, size)], axis=1))
            base += size
        return generator.permutation(np.concatenate(parts))


class TrainingBatches:
    """The places of one process's batches, epoch by epoch.

    Batch n of all processes together is one stretch of the epoch's permutation, whatever their number: two processes
    with batches of 8 see in step n what one process with batches of 16 sees. All get equally many full batches; what
    does not fill one for every process is left out, at most ``world × batch_size - 1`` samples, others each epoch.

    Args:
        order: of the epochs.
        batch_size: items of one process's batch.
        rank: which process.
        world: how many processes.
    """

    def __init__(self, order: EpochOrder, batch_size: int, rank: int = 0, world: int = 1) -> None:
        self.order, self.batch_size, self.rank, self.world = order, batch_size, rank, world
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return len(self.order) // (self.batch_size * self.world)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch, start = self.epoch, self.start
        shuffled = self.order.shuffled(epoch)
        for number in range(start, len(self)):
            begin = (number * self.world + self.rank) * self.batch_size
            rows = shuffled[begin : begin + self.batch_size]
            yield [(epoch, int(position), int(repeat)) for position, repeat in rows]


class OrderedBatches:
    """The places of one process's batches when every sample comes once, in order.

    Args:
        samples: of all processes.
        batch_size: items of one process's batch.
        rank: which process.
        world: how many processes.
        equal: give every process the same number of batches, as validation within training needs (each batch may be a
            point where all processes meet); then batches are filled evenly, to ``batch_size`` at most, or one more
            where ``batch_size`` is 1. Without, a process may have fewer batches than another.

    Raises:
        ValueError: if ``equal`` is asked of fewer samples than processes.
    """

    def __init__(self, samples: int, batch_size: int, rank: int = 0, world: int = 1, equal: bool = True) -> None:
        if equal and samples < world:
            raise ValueError(f"expected at least one sample for each of {world} processes, got {samples}")
        mine = range(rank, samples, world)
        batches = -(-len(mine) // batch_size)
        if equal:
            batches = min(-(-len(range(0, samples, world)) // batch_size), samples // world)
        self.batches = (
            [part.tolist() for part in np.array_split(np.array(mine, dtype=np.int64), batches)] if batches else []
        )
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[Place]]:
        for batch in self.batches[self.start :]:
            yield [(0, position, 0) for position in batch]
