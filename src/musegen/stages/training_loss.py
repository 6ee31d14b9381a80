"""Logging the loss of training steps without waiting for them."""

from __future__ import annotations

import lightning.pytorch as L
from torch import Tensor


class TrainingLoss:
    """Logs ``train/loss``, and shows it on the progress bar as ``loss``.

    Lightning makes a number of whatever the progress bar shows, at every step and whether there is a bar or not, and
    for a loss on a GPU waits until all that was launched is done: what the host has to do for a step then no longer
    happens while the device computes. So the bar gets a copy on the host, of the last step that the device had finished
    when it was asked.
    """

    def __init__(self) -> None:
        self._arrived: Tensor | None = None

    def log(self, module: L.LightningModule, loss: Tensor, items: int) -> None:
        """Log a step's loss.

        Args:
            module: that trains.
            loss: of one element.
            items: of the batch.
        """
        loss = loss.detach()
        module.log("train/loss", loss, batch_size=items)
        module.log("loss", self._shown(loss), prog_bar=True, logger=False, batch_size=items)

    def _shown(self, loss: Tensor) -> Tensor:
        if loss.device.type != "cuda":
            return loss
        if self._arrived is None:
            self._arrived = loss.cpu().pin_memory()
        shown = self._arrived.clone()
        self._arrived.copy_(loss, non_blocking=True)
        return shown
