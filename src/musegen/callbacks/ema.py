"""An exponential moving average of the weights, which validation, checkpoints and exports use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel


class EMA(WeightAveraging):
    """Average the weights over training steps; checkpoints hold the average as ``state_dict`` beside the raw weights.

    Beyond Lightning's own `EMAWeightAveraging`: the decay warms up, so that a short run is not an average of its random
    start; the update is one fused operation for all parameters; the average lives on the model's device; data
    statistics measured when fitting begins reach the average before the first validation; and the average stays in
    place until all of a validation is over, what is computed and sampled at its epoch's end included.

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
        self._swapped = False

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
        self._average_model = _Average(weights, self._decay_at)

    def _decay_at(self, updates: int) -> float:
        """Of the update that so many were before."""
        return min(self.decay, (1 + updates) / (self.warm_up + updates)) if updates else 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Bring the average to the model's device."""
        if self._average_model is not None:
            self._average_model.module.to(pl_module.device)

    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Copy the buffers: the data's statistics were measured after the average was made."""
        if self._average_model is not None and self.updates == 0:
            for averaged, current in zip(self._average_model.module.buffers(), pl_module.buffers(), strict=True):
                averaged.data.copy_(current.data)

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the average where it is: the module's own hook and other callbacks come after this one."""

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the raw weights back."""
        if self._average_model is not None:
            self._swap_models(pl_module)

    def _swap_models(self, pl_module: L.LightningModule) -> None:
        super()._swap_models(pl_module)
        self._swapped = not self._swapped

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as ``state_dict``, also where a callback saves before the raw weights are back."""
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if self._swapped:
            raw = checkpoint["state_dict"]
            checkpoint["state_dict"], checkpoint["current_model_state"] = checkpoint["current_model_state"], raw


class _Average(AveragedModel):
    """A running average that counts its updates on the host.

    torch's own asks the device for their number four times a step, and waits until all that was launched is done: a
    small network's step then takes as long as host and device together.
    """

    def __init__(self, weights: nn.Module, decay: Callable[[int], float]) -> None:
        super().__init__(weights, use_buffers=True)
        self.n_averaged = self.n_averaged.cpu()
        self.decay = decay

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Move the average towards a model's weights and buffers; what is no floating point is copied."""
        decay = self.decay(int(self.n_averaged))
        pairs: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
        for averaged, current in zip(_tensors(self.module), _tensors(model), strict=True):
            kept, seen = pairs.setdefault(averaged.dtype, ([], []))
            kept.append(averaged)
            seen.append(current)
        for dtype, (kept, seen) in pairs.items():
            if dtype.is_floating_point and decay > 0:
                torch._foreach_lerp_(kept, seen, 1 - decay)
            else:
                torch._foreach_copy_(kept, seen)
        self.n_averaged += 1


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    return (tensor.detach() for tensor in chain(module.parameters(), module.buffers()))
