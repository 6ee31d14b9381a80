"""Caching under Lightning: which process encodes which shard, and what each says meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import lightning.pytorch as L
from torch.utils.data import DataLoader

from musegen.data.cache import Cache

Say = Callable[[int, int, int, int], object]
"""Told how many samples a process has encoded, of how many, its rank, and how many processes there are."""

IDLE = -1
"""In place of a shard's number for a process that has none: Lightning would leave it out of the end."""


class Caching(L.LightningModule):
    """Encodes a corpus by ``Trainer.predict``, on as many processes and hosts as the trainer has.

    The process of rank 0 looks for what is missing and tells the others; of that, each takes every world-th shard. When
    all are done, rank 0 writes the index.

    Args:
        cache: what is to be made.
        say: told of this process's progress.

    Attributes:
        missing: how many samples all processes have to encode; set when they begin.
    """

    def __init__(self, cache: Cache, say: Say = lambda *progress: None) -> None:
        super().__init__()
        self.cache, self.encoder, self._say = cache, cache.encoder, say
        self.missing = self._mine = self._done = 0

    def predict_dataloader(self) -> DataLoader:
        """Numbers of the shards that this process makes."""
        trainer = self.trainer
        missing: list[int] = trainer.strategy.broadcast(self.cache.begin() if trainer.is_global_zero else [])
        mine = missing[trainer.global_rank :: trainer.world_size]
        self.missing, self._mine = self._samples(missing), self._samples(mine)
        self._tell()
        return DataLoader(mine or [IDLE], batch_size=None)  # type: ignore[arg-type]

    def on_predict_start(self) -> None:
        """Let SIGTERM end this process, where Lightning would have it wait for the end of a training step."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def predict_step(self, number: int) -> int:
        """Make a shard; gives its number back, because Lightning warns of nothing."""
        for _ in self.cache.encode(int(number)) if number != IDLE else ():
            self._done += 1
            self._tell()
        return int(number)

    def on_predict_end(self) -> None:
        """Wait for the others; the index comes last."""
        self.trainer.strategy.barrier()
        if self.trainer.is_global_zero:
            self.cache.finish()
        self.trainer.strategy.barrier()

    def _tell(self) -> None:
        self._say(self._done, self._mine, self.trainer.global_rank, self.trainer.world_size)

    def _samples(self, numbers: list[int]) -> int:
        return sum(self.cache.work[number].stop - self.cache.work[number].first for number in numbers)
