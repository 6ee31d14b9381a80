"""What every network of a flow is told, takes and gives.

Shapes here and everywhere: ``batch`` first; an embedding is ``[batch, dim]``, latents ``[batch, channels, frames]``,
tokens ``[batch, tokens, dim]``. Flow time runs from t = 0 (noise) to t = 1 (data) and is ``[batch]``, float32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from musegen.config import Configurable


@dataclass(frozen=True)
class Condition:
    """What a network is told about each item of a batch.

    Args:
        tokens: what cross-attention reads, ``[batch, tokens, dim]``.
        mask: True where a token is real, ``[batch, tokens]``; None where every token is.
        vector: a global condition that guidance never removes, ``[batch, dim]``; None without one.
    """

    tokens: Tensor
    mask: Tensor | None = None
    vector: Tensor | None = None

    def __len__(self) -> int:
        return self.tokens.shape[0]

    def __getitem__(self, index: Any) -> Condition:
        """Pick items by slice or index tensor."""
        return self.map(lambda part: part[index])

    def map(self, function: Callable[[Tensor], Tensor]) -> Condition:
        """Apply a function to every part that is there."""
        mask = None if self.mask is None else function(self.mask)
        vector = None if self.vector is None else function(self.vector)
        return Condition(function(self.tokens), mask, vector)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Condition:
        """Move every part, and cast those of floating point."""
        return self.map(lambda part: part.to(device=device, dtype=dtype if part.is_floating_point() else None))

    @staticmethod
    def concatenate(conditions: Sequence[Condition]) -> Condition:
        """Join along the batch. All have the same parts and the same number of tokens."""
        masks = [condition.mask for condition in conditions if condition.mask is not None]
        vectors = [condition.vector for condition in conditions if condition.vector is not None]
        return Condition(
            torch.cat([condition.tokens for condition in conditions]),
            torch.cat(masks) if masks else None,
            torch.cat(vectors) if vectors else None,
        )


class FlowNetwork(Configurable, nn.Module, ABC):
    """A network that predicts, from a noisy sample, the direction from noise to data.

    What exactly is predicted is the `Path`'s business (``musegen.flow.paths``); its sign is always "towards data".

    A subclass writes `prepare` and `predict`. Whatever is constant over the steps of a sampler (projected conditions,
    the keys and values of cross-attention) belongs in `prepare`, which sampling calls once per generation.
    """

    shape: tuple[int, ...]
    """One item as it is trained: ``(dim,)`` of an embedding, ``(channels, frames)`` of latents."""

    condition_dim: int
    """Width of the condition's tokens."""

    vector_dim: int
    """Width of the condition's global vector; 0 without one."""

    @abstractmethod
    def prepare(self, condition: Condition) -> Any:
        """Compute what does not change from step to step."""

    @abstractmethod
    def predict(self, x: Tensor, time: Tensor, prepared: Any, mask: Tensor | None = None) -> Tensor:
        """Predict the direction towards data.

        Args:
            x: noisy items, ``[batch, *shape]`` (the number of frames may differ from ``shape``).
            time: flow time of each item, ``[batch]``.
            prepared: what `prepare` returned.
            mask: True where a frame of latents is real rather than padding, ``[batch, frames]``; None where all are.

        Returns:
            The prediction, with the shape and dtype of ``x``.
        """

    @abstractmethod
    def null(self, condition: Condition) -> Condition:
        """The condition that says nothing, shaped like ``condition``; keeps its global vector."""

    def prepare_with_null(self, condition: Condition) -> Any:
        """Prepare for twice the items: those of a condition, then as many that are told the null condition.

        A network whose null says the same to every token may leave out the attention to it.
        """
        return self.prepare(Condition.concatenate([condition, self.null(condition)]))

    def forward(self, x: Tensor, time: Tensor, condition: Condition, mask: Tensor | None = None) -> Tensor:
        """`prepare` and `predict` in one call, as training does.

        Raises:
            ValueError: if there are not as many conditions as items.
        """
        if len(condition) != len(x):
            raise ValueError(f"condition: expected {len(x)}, one for each item, got {len(condition)}")
        return self.predict(x, time, self.prepare(condition), mask)
