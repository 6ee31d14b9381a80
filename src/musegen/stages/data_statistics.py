"""Measure the data before training: its scale, which goes into the checkpoint, and the Gaussian floor of its loss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from musegen.flow.floors import GaussianFloor
from musegen.stages.gathering import gather_items

if TYPE_CHECKING:
    from musegen.stages.flow_stage import FlowStage

NUMBERS = 1 << 26
"""How many numbers are looked at, at most, over all processes."""

QUANTILES = 256
"""How many times the floor is averaged over."""


class DataStatistics:
    """Statistics of a run's training data, and the floor that they put under its held-out loss."""

    def __init__(self) -> None:
        self.floor: float | None = None

    def measure(self, stage: FlowStage, *, fresh: bool) -> None:
        """Read training and held-out items of every process.

        Args:
            stage: whose data module is read, and whose model takes the statistics.
            fresh: set the model's mean and deviation; else they stay as they came with its weights.
        """
        data = stage.trainer.datamodule  # type: ignore[attr-defined]
        if data is None:
            rank_zero_warn("no data module: the data's statistics and the Gaussian floor are not measured")
            return
        numbers = NUMBERS // stage.trainer.world_size
        train = gather_items(stage, _items(data.train_dataloader(), stage.data_key, numbers)).cpu()
        width = stage.model.network.shape[0]
        if train.shape[1] != width:
            raise ValueError(f"{stage.data_key}: expected {width} numbers as the network has, got {train.shape[1]}")
        if fresh:
            axes = (0,) if train.ndim == 2 else (0, 2)
            wide = train.double()
            several = wide.numel() > width
            if not several:
                rank_zero_warn(f"{stage.data_key}: one item has no deviation: it is learned as it is, about its mean")
            stage.model.statistics.set(wide.mean(axes), wide.std(axes).clamp(min=1e-8) if several else 1.0)
        statistics = stage.model.statistics
        rank_zero_info(
            f"measured {len(train)} items: mean {statistics.mean.mean():.4g}, deviation {statistics.std.mean():.4g} "
            f"(as the network is told), {train.std(correction=0):.4g} (raw)"
        )
        loader = data.val_dataloader()
        if not loader:
            return
        held_out = gather_items(stage, _items(loader, stage.data_key, numbers)).cpu()
        train, held_out = (statistics.standardise(part.to(statistics.mean)).cpu() for part in (train, held_out))
        times = stage.times.sample((torch.arange(QUANTILES) + 0.5) / QUANTILES)
        self.floor = GaussianFloor(train).loss(held_out, stage.model.path, times)
        rank_zero_info(
            f"a Gaussian of this data has a held-out loss of {self.floor:.4f}: anything above has learned less"
        )


def _items(loader: Iterable[Mapping[str, Any]], key: str, numbers: int) -> Tensor:
    """Items without padding, until there are enough; those with padding too, if others are too few."""
    whole: list[Tensor] = []
    padded: list[Tensor] = []
    seen = 0
    for batch in loader:
        mask = batch.get("mask")
        full = torch.ones(len(batch[key]), dtype=torch.bool) if mask is None else mask.all(1)
        whole.append(batch[key][full])
        padded.append(batch[key][~full])
        seen += whole[-1].numel() or padded[-1].numel()
        if seen >= numbers:
            break
    if not whole:
        raise ValueError(f"{key}: expected batches to measure, got none")
    items = torch.cat(whole)
    return items if len(items) > 1 else torch.cat([items, *padded])
