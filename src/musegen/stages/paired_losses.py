"""The held-out losses of an epoch, with true and with permuted conditions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class PairedLosses:
    """Collects per-item losses under true and permuted conditions, on the same noise and times.

    The pairs' differences say whether the model uses its condition: a gain of more than five standard errors is no
    accident.
    """

    def __init__(self) -> None:
        self._true: list[Tensor] = []
        self._gains: list[Tensor] = []

    def clear(self) -> None:
        """Forget what was collected."""
        self._true.clear()
        self._gains.clear()

    def add(self, true: Tensor, blind: Tensor | None) -> None:
        """Add per-item losses ``[batch]``; ``blind`` is None where a batch of one cannot be permuted."""
        self._true.append(true.double())
        if blind is not None:
            self._gains.append((blind - true).double())

    def summary(self, gather: Callable[[Any], Any], floor: float | None) -> dict[str, float]:
        """Means over all processes' items.

        Args:
            gather: Lightning's ``all_gather``.
            floor: the Gaussian floor; None where it was not measured.
        """
        if not self._true:
            return {}
        true = torch.cat(self._true)
        gains = torch.cat(self._gains) if self._gains else true.new_zeros(0)
        one = true.new_ones(())
        sums = torch.stack([one * len(true), true.sum(), one * len(gains), gains.sum(), gains.square().sum()])
        items, total, pairs, gain, square = gather(sums).reshape(-1, 5).sum(0).tolist()
        summary = {"loss": total / items}
        if pairs > 1:
            mean = gain / pairs
            variance = max(0.0, square / pairs - mean**2) * pairs / (pairs - 1)
            summary |= {"loss_blind": total / items + mean, "gain": mean}
            if variance > 0:
                summary["gain_sigmas"] = mean / math.sqrt(variance / pairs)
        if floor is not None:
            summary |= {"floor": floor, "explained": 1 - summary["loss"] / floor}
        return summary
