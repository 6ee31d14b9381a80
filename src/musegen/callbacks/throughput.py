"""How fast training goes, how much of it is waiting for data, and how much memory it takes."""

from __future__ import annotations

import time
from typing import Any

import lightning.pytorch as L
import torch


class Throughput(L.Callback):
    """Log the speed of training and the memory it takes.

    ``speed/items_per_second`` is over all processes, ``speed/data_wait`` a share of the time, ``memory/peak_gib`` the
    peak of the CUDA allocator on this process. The time that validation and checkpoints take counts nowhere, up to the
    batch that follows them.

    Args:
        every_n_steps: steps of the optimizer between two readings; the device is synchronised only there.
        skip: steps at the start that count nowhere: compilation and warm-up.
    """

    def __init__(self, every_n_steps: int = 50, skip: int = 10) -> None:
        if every_n_steps < 1 or skip < 0:
            raise ValueError(
                f"expected every_n_steps of 1 or more and skip of 0 or more, got {every_n_steps} and {skip}"
            )
        self.every_n_steps = every_n_steps
        self.skip = skip
        self._steps = 0
        self._items = 0
        self._waited = 0.0
        self._began: float | None = None
        self._ended: float | None = None
        self._paused = False

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last batch ended as waiting for this one, unless there was something else."""
        if self._ended is not None:
            gap = time.perf_counter() - self._ended
            if not self._paused:
                self._waited += gap
            elif self._began is not None:
                self._began += gap
        self._paused = False

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting until the next batch."""
        self._pause(pl_module)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Stop counting until the next batch."""
        self._pause(pl_module)

    def _pause(self, pl_module: L.LightningModule) -> None:
        if not self._paused:
            self._paused, self._ended = True, self._now(pl_module)

    def _now(self, pl_module: L.LightningModule) -> float:
        """When what was asked of the device is done."""
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize(pl_module.device)
        return time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Take a reading every few steps: between two steps of the optimizer Lightning logs nothing."""
        self._items += len(batch["seed"])
        stepped = trainer.is_last_batch or (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        self._steps += stepped
        if stepped and (self._steps == self.skip or self._steps % self.every_n_steps == 0):
            now = self._now(pl_module)
            if self._began is not None and self._steps > self.skip:
                elapsed = now - self._began
                pl_module.log("speed/items_per_second", self._items * trainer.world_size / elapsed)
                pl_module.log("speed/data_wait", self._waited / elapsed)
                if pl_module.device.type == "cuda":
                    pl_module.log("memory/peak_gib", torch.cuda.max_memory_allocated(pl_module.device) / 2**30)
            self._items, self._waited, self._began = 0, 0.0, now
        self._ended = time.perf_counter()
