"""Going on from a checkpoint as if nothing had been, wherever in an epoch it was made."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.trainer.states import TrainerFn


class ResumableStage(L.LightningModule):
    """What a stage adds to Lightning's checkpoints, so that resuming is exact.

    A checkpoint that is made while gradients accumulate says to go on after the last step of the optimizer: gradients
    are in no checkpoint, so what was accumulated since then is computed again. Where an epoch is over for the trainer,
    as under ``limit_train_batches``, it is over for the data too. At the end of an epoch the number of processes and
    the batch size may change: the next epoch begins with the new ones.
    """

    _after_step: dict[str, Any] | None = None
    """The state of the training loop after the last step of the optimizer."""

    def on_train_start(self) -> None:
        """Note where training begins; where it goes on is in the checkpoint."""
        self._after_step = self._after_step or self._state()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note where the optimizer has made a step."""
        if self.trainer.accumulate_grad_batches > 1 and not self._accumulating:
            self._after_step = self._state()

    def on_train_end(self) -> None:
        """Forget it, for another run of the same object."""
        self._after_step = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See the class."""
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        state = self._after_step if self._accumulating and self._after_step else self._state()
        checkpoint["loops"] = {**checkpoint["loops"], "fit_loop": state}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See the class."""
        if self._trainer is None or self.trainer.state.fn != TrainerFn.FITTING:
            return
        loop = checkpoint["loops"]["fit_loop"]
        if any(state["position"] >= state["batches"] for state in _of_loaders(loop)):
            progress = loop["epoch_loop.batch_progress"]["current"]
            more = self._batches() - progress["ready"]
            progress.update({name: count + more for name, count in progress.items()})
        self._after_step = deepcopy(loop)

    def _state(self) -> dict[str, Any]:
        """Of the training loop; if its epoch is over, so is that of the data."""
        loop = self.trainer.fit_loop.state_dict()
        if self._at_end:
            for state in _of_loaders(loop):
                state["position"] = state["batches"]
        return loop

    @property
    def _at_end(self) -> bool:
        """Whether the last batch was the last one of its epoch."""
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        return progress.is_last_batch or progress.current.ready == self.trainer.num_training_batches

    @property
    def _accumulating(self) -> bool:
        """Whether there are gradients that no step has used."""
        ready = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return ready % self.trainer.accumulate_grad_batches != 0 and not self._at_end

    def _batches(self) -> int:
        """Of an epoch, in this run."""
        batches, limit = len(self.trainer.datamodule.train_dataloader()), self.trainer.limit_train_batches  # type: ignore
        return min(batches, limit) if isinstance(limit, int) else int(batches * limit)


def _of_loaders(loop: dict[str, Any]) -> list[dict[str, Any]]:
    """States of `Loader`s in the state of a training loop."""
    states = loop.get("state_dict", {}).get("combined_loader", [])
    return [state for state in states if isinstance(state, dict) and "batches" in state]
