"""A progress bar of the steps of a run."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import RichProgressBar


class StepsBar(RichProgressBar):
    """Lightning's bar, which counts the steps of a run where ``max_steps`` ends it and no ``max_epochs`` does.

    Lightning's own one begins anew with each epoch, however short, and says nothing of the end of such a run.
    """

    @property
    def total_train_batches(self) -> int | float:
        """Where the bar ends: steps of the run, or batches of an epoch."""
        return self.trainer.max_steps if self._counts_steps else super().total_train_batches

    @property
    def _counts_steps(self) -> bool:
        return self.trainer.max_steps > 0 and self.trainer.max_epochs in (None, -1)

    def _get_train_description(self, current_epoch: int) -> str:
        if not self._counts_steps:
            return super()._get_train_description(current_epoch)
        return f"Epoch {current_epoch}"

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the bar, or name the epoch."""
        if self._counts_steps and self.train_progress_bar_id is not None and self.progress is not None:
            self.progress.update(
                self.train_progress_bar_id, description=self._get_train_description(trainer.current_epoch)
            )
        else:
            super().on_train_epoch_start(trainer, pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Go on; the end may have moved, where a callback has chosen another."""
        done = trainer.global_step - 1 if self._counts_steps else batch_idx
        super().on_train_batch_end(trainer, pl_module, outputs, batch, done)
        if self._counts_steps and self.train_progress_bar_id is not None and self.progress is not None:
            self.progress.update(self.train_progress_bar_id, total=trainer.max_steps)
