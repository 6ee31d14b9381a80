"""What all processes hold, where each may hold another number of items."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor


def gather_items(stage: L.LightningModule, items: Tensor) -> Tensor:
    """The items of all processes one after another, ``[all, ...]``, without gradients.

    Args:
        stage: a module whose trainer runs.
        items: of this process, ``[any, ...]``.
    """
    if stage.trainer.world_size == 1:
        return items
    counts: Any = stage.all_gather(torch.tensor(len(items), device=stage.device))
    filled = items.new_zeros(int(counts.max()), *items.shape[1:])
    filled[: len(items)] = items
    gathered: Any = stage.all_gather(filled.to(stage.device))
    return torch.cat([part[:count] for part, count in zip(gathered, counts.tolist(), strict=True)])
