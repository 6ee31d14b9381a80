"""How fast training goes, how much of it is waiting for data, and how much memory it takes."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as L
import torch


class Throughput(L.Callback):
    """Log the speed of training and the memory it takes.

    ``speed/items_per_second`` is over all processes, ``speed/data_wait`` a share of the time, ``memory/peak_gib`` the
    peak of the CUDA allocator on this process.

    Args:
        every_n_steps: batches between two readings; the device is synchronised only there.
        skip: batches at the start that count nowhere: compilation and warm-up.
    """

    def __init__(self, every_n_steps: int = 50, skip: int = 10) -> None:
        if every_n_steps < 1 or skip < 0:
            raise ValueError(
                f"expected every_n_steps of 1 or more and skip of 0 or more, got {every_n_steps} and {skip}"
            )
        self.every_n_steps = every_n_steps
        self.skip = skip
        self._batches = 0
        self._items = 0
        self._waited = 0.0
        self._began = 0.0
        self._ended: float | None = None

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last batch ended as waiting for this one."""
        if self._ended is not None:
            self._waited += time.perf_counter() - self._ended

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take a reading every few batches."""
        self._batches += 1
        self._items += len(batch["seed"])
        if self._batches == self.skip or self._batches % self.every_n_steps == 0:
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize(pl_module.device)
            now = time.perf_counter()
            if self._began and self._batches > self.skip:
                elapsed = now - self._began
                pl_module.log("speed/items_per_second", self._items * trainer.world_size / elapsed)
                pl_module.log("speed/data_wait", self._waited / elapsed)
                if pl_module.device.type == "cuda":
                    pl_module.log("memory/peak_gib", torch.cuda.max_memory_allocated(pl_module.device) / 2**30)
            self._items, self._waited, self._began = 0, 0.0, now
        self._ended = time.perf_counter()
