"""Guidance: two predictions, told the condition and not told it, made into one that follows the condition more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from musegen.config import Configurable
from musegen.flow.paths.base import Path


@dataclass(frozen=True)
class Moment:
    """Where in a generation two predictions were made.

    Args:
        x: the noisy items, ``[batch, *shape]``.
        time: a scalar shared by all items, or ``[batch]``.
        path: says what a prediction means.
        memory: what a guidance wants to keep from one evaluation to the next; empty when a generation begins.
    """

    x: Tensor
    time: Tensor
    path: Path
    memory: dict[str, Any] = field(default_factory=dict)


class Guidance(Configurable, ABC):
    """A rule that combines a conditional and an unconditional prediction. Samplers see only the result.

    An implementation treats every item by itself: no sum, mean or norm goes over the batch.
    """

    def needs_unconditional(self, time: Tensor) -> bool:
        """Whether `combine` looks at the unconditional prediction at this time, a scalar that all items share.

        Where it does not, the network runs at half the batch and `combine` is not called.
        """
        return True

    @abstractmethod
    def combine(self, conditional: Tensor, unconditional: Tensor, moment: Moment) -> Tensor:
        """Combine two predictions, ``[batch, *shape]`` each, float32, into one of the same shape."""
