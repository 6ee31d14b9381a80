"""What a training process saw, computed and became, written to a file for a test to read; and a sudden end."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch


class Recorder(L.Callback):
    """Keep keys and loss of every batch and the weights after every epoch, ``rank<n>.pt`` for each process.

    Args:
        folder: where the files go.
        kill_at: end the process without warning before this batch, counted over all epochs.
        save_at: save ``saved.ckpt`` when so many batches are over, wherever that is.
    """

    def __init__(self, folder: str, kill_at: int | None = None, save_at: int | None = None) -> None:
        self.folder = Path(folder)
        self.kill_at, self.save_at = kill_at, save_at
        self.batches: list[tuple[int, list[str], float]] = []
        self.validations: list[list[str]] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """End here, if that was asked."""
        if len(self.batches) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note a batch."""
        self.batches.append((trainer.current_epoch, batch["key"], float(outputs["loss"])))
        if len(self.batches) == self.save_at:
            trainer.save_checkpoint(self.folder / "saved.ckpt")

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Note a batch of held-out items."""
        self.validations.append(batch["key"])

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what is known."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "batches": self.batches,
            "validations": self.validations,
            "weights": pl_module.state_dict(),
            "logged": {name: float(value) for name, value in trainer.callback_metrics.items()},
        }
        torch.save(record, self.folder / f"rank{trainer.global_rank}.pt")
