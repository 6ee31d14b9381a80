"""A run as long as there is time for, whose learning rate has fallen by then."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.utilities import rank_zero_info

SPARE = 0.06
"""Share of the time that validation, checkpoints and the end take."""


class FitMinutes(L.Callback):
    """See how long a step takes, and end the run, and its schedule, with the step that there is time for.

    It looks twice: soon after the beginning, and half-way, because others may have come to the machine, or left it.
    Where a machine is there for so many minutes, a number of steps that is too large wastes the best of a run, the fall
    of its learning rate. The number that was chosen is part of the checkpoint: a run that goes on with the same minutes
    keeps it, or goes on looking where it had not looked twice; one with other minutes looks again.

    Args:
        minutes: from the first step to the end, of all parts of a run that was interrupted.
        after: steps before the look, in which kernels are compiled and chosen.
        over: steps that are timed.
    """

    def __init__(self, minutes: float, after: int = 150, over: int = 100) -> None:
        super().__init__()
        if minutes <= 0 or after < 0 or over < 1:
            raise ValueError(
                f"expected minutes above 0, after of 0 and over of 1 or more, got {minutes}, {after}, {over}"
            )
        self.minutes, self.after, self.over = minutes, after, over
        self.steps: int | None = None
        self.settled = False
        self._began: float | None = None
        self._spent, self._first = 0.0, 0
        self._looked: tuple[int, float] | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin to count; a run that goes on keeps its length."""
        self._looked = None
        self._began, self._first = perf_counter(), trainer.global_step
        if self.steps is not None:
            self._set(trainer, self.steps)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the clock, and choose."""
        if self.settled or (self.steps is not None and 2 * trainer.global_step < self.steps):
            return
        done = trainer.global_step - self._first
        if self._looked is None:
            if done >= self.after:
                self._looked = done, self._now()
        elif done >= self._looked[0] + self.over:
            now = self._now()
            step = (now - self._looked[1]) / (done - self._looked[0])
            left = self.minutes * 60 * (1 - SPARE) - self._so_far()
            steps = torch.tensor(trainer.global_step + max(1, int(left / step)))
            self._looked = None
            self.settled, self.steps = self.steps is not None, int(trainer.strategy.broadcast(steps))
            rank_zero_info(f"{1000 * step:.1f} ms a step: {self.steps} steps in {self.minutes:g} minutes")
            self._set(trainer, self.steps)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop counting."""
        self._spent, self._began = self._so_far(), None

    def _so_far(self) -> float:
        return self._spent + (0.0 if self._began is None else perf_counter() - self._began)

    def _now(self) -> float:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return perf_counter()

    def _set(self, trainer: L.Trainer, steps: int) -> None:
        trainer.fit_loop.epoch_loop.max_steps = steps
        for config in trainer.lr_scheduler_configs:
            if hasattr(config.scheduler, "steps"):  # of its own optimizer, where the trainer counts those of all
                config.scheduler.steps = steps // len(trainer.optimizers)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, whether it may still change, and of how many minutes how many seconds are spent."""
        return {"steps": self.steps, "settled": self.settled, "minutes": self.minutes, "spent": self._so_far()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it, if it was for as many minutes; of checkpoints of earlier versions that is not known."""
        self._spent = state_dict.get("spent", 0.0)
        if state_dict.get("minutes", self.minutes) == self.minutes:
            self.steps, self.settled = state_dict["steps"], state_dict["settled"]
