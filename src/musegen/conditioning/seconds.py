"""Telling a model a time in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from musegen.conditioning.base import Conditioner
from musegen.nn.fourier import NumberEmbedding


class SecondsConditioner(Conditioner):
    """A number of seconds as one token: Stable Audio Open's number conditioner, by its names of parameters.

    Args:
        reads: key of the batch: ``seconds_start`` or ``seconds_total``.
        dim: width of the token.
        low: shortest time that it tells apart.
        high: longest time that it tells apart.
    """

    def __init__(self, reads: str, dim: int = 768, low: float = 0.0, high: float = 512.0) -> None:
        super().__init__()
        if not low < high:
            raise ValueError(f"{reads}: expected low < high, got {low} and {high}")
        self.reads, self.dim, self.low, self.high = reads, dim, low, high
        self.embedder = NumberEmbedding(dim)

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, None]:
        """``batch[reads]`` ``[batch]`` → tokens ``[batch, 1, dim]``.

        Raises:
            ValueError: if the batch has no such key.
        """
        device = next(self.parameters()).device
        seconds = torch.as_tensor(self.read(batch), dtype=torch.float32, device=device)
        share = (seconds.clamp(self.low, self.high) - self.low) / (self.high - self.low)
        return self.embedder(share).unsqueeze(1), None
