"""An exponential moving average of the weights, which validation, checkpoints and exports use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class EMA(WeightAveraging):
    """Average the weights over training steps; checkpoints hold the average as ``state_dict`` beside the raw weights.

    Beyond Lightning's own `EMAWeightAveraging`: the decay warms up, so that a short run is not an average of its random
    start; the update is one fused operation for all parameters; the average lives on the model's device; and data
    statistics measured when fitting begins reach the average before the first validation.

    Args:
        decay: share of the average that one step keeps, once warm.
        warm_up: the decay at update n is at most (1 + n) / (warm_up + n) (as in Polyak averaging of TensorFlow's
            ``ExponentialMovingAverage``); 1 turns the warm-up off.
    """

    def __init__(self, decay: float = 0.999, warm_up: float = 10.0) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"expected an EMA decay in [0, 1), got {decay}")
        super().__init__(use_buffers=True, multi_avg_fn=self._average)
        self.decay = decay
        self.warm_up = warm_up
        self.updates = 0

    @torch.no_grad()
    def _average(self, averaged: list[Tensor], current: Iterable[Tensor], _: Any) -> None:
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (self.warm_up + self.updates))
        pairs = list(zip(averaged, current, strict=True))
        floats = [(old, new) for old, new in pairs if old.is_floating_point()]
        torch._foreach_lerp_([old for old, _ in floats], [new for _, new in floats], 1 - decay)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the average to the model's device."""
        if self._average_model is not None:
            self._average_model.to(pl_module.device)

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the buffers: the data's statistics were measured after the average was made."""
        if self._average_model is not None and self.updates == 0:
            for averaged, current in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                averaged.data.copy_(current.data)

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs."""
        return {**super().state_dict(), "updates": self.updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore it."""
        self.updates = state_dict["updates"]
        super().load_state_dict(state_dict)
