"""An exponential moving average of the weights, which validation, checkpoints and exports use."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


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
        super().__init__()
        self.decay = decay
        self.warm_up = warm_up

    @property
    def updates(self) -> int:
        """How many updates the average has had; the first is a copy."""
        return 0 if self._average_model is None else int(self._average_model.n_averaged)

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin with a copy of the weights; the rest of the module stays out of it.

        An optimizer from the command line knows the trainer, and with it data and processes, which cannot be copied.
        """
        if stage != "fit":
            return
        pl_module.configure_model()
        weights = nn.Module()
        for name in ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"):
            setattr(weights, name, getattr(pl_module, name))
        self._average_model = AveragedModel(weights, pl_module.device, multi_avg_fn=self._average, use_buffers=True)

    @torch.no_grad()
    def _average(self, averaged: Any, current: Any, updates: Tensor | int) -> None:
        """Update tensors of one type, given how many updates were before."""
        if not averaged[0].is_floating_point():
            torch._foreach_copy_(averaged, current)
            return
        decay = min(self.decay, (1 + int(updates)) / (self.warm_up + int(updates)))
        torch._foreach_lerp_(averaged, current, 1 - decay)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the average to the model's device."""
        if self._average_model is not None:
            self._average_model.to(pl_module.device)

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the buffers: the data's statistics were measured after the average was made."""
        if self._average_model is not None and self.updates == 0:
            for averaged, current in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                averaged.data.copy_(current.data)
