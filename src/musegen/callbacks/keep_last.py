"""A checkpoint of where a run ends, whatever its length."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import ModelCheckpoint


class KeepLast(ModelCheckpoint):
    """Save as Lightning's ModelCheckpoint does, and once more with a run's last step.

    Lightning saves every so many steps and leaves the steps after the last of these to nobody: of a run that ends by
    the clock (``max_time``, `musegen.callbacks.fit_minutes.FitMinutes`), those in which the learning rate is lowest.

    See ``lightning.pytorch.callbacks.ModelCheckpoint`` for the arguments.
    """

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time to, or if no step follows."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        if trainer.should_stop or 0 < trainer.max_steps <= trainer.global_step:
            self._save_now(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save if it is time to, or if no epoch follows."""
        super().on_train_epoch_end(trainer, pl_module)
        if trainer.should_stop or 0 < (trainer.max_epochs or 0) <= trainer.current_epoch + 1:
            self._save_now(trainer)

    def _save_now(self, trainer: L.Trainer) -> None:
        if not self._should_skip_saving_checkpoint(trainer):  # as where this step is saved already
            candidates = self._monitor_candidates(trainer)
            self._save_topk_checkpoint(trainer, candidates)
            self._save_last_checkpoint(trainer, candidates)
