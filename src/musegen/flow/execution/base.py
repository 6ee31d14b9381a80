"""How a network's evaluations are run: one by one as written, compiled, or replayed from a recording."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor

from musegen.config import Configurable
from musegen.models.base import FlowNetwork

Evaluate = Callable[[Tensor, Tensor, Any], Tensor]
"""From noisy items, a time for each and what was prepared to a prediction."""

Step = Callable[[Tensor, Tensor], Tensor]
"""From noisy items and a time for each to a prediction: what one generation calls over and over."""


class Execution(Configurable, ABC):
    """A way of running a network in a sampler's loop; the result is the same but for rounding.

    One execution serves one network. Shapes are fixed while a generation lasts, which is what lanes are for; what is
    learned of a shape (a compiled kernel, a recording) is kept for the next generation.

    Args:
        skip_null: where the null condition says the same to every token, add what it says instead of computing
            attention to it.
    """

    def __init__(self, skip_null: bool = True) -> None:
        super().__init__()
        self.skip_null = skip_null

    @abstractmethod
    def prepare(self, network: FlowNetwork) -> None:
        """Get a network ready, in place, once; it is on its device and has its dtype."""

    @abstractmethod
    def begin(self, evaluate: Evaluate, prepared: Any, kind: str) -> Step:
        """Begin a generation.

        Args:
            evaluate: the network's evaluation; takes no decision that depends on the values of its arguments.
            prepared: what does not change from step to step: tensors in tuples, the third argument of ``evaluate``.
            kind: distinguishes evaluations that shapes do not.

        Returns:
            What to call at every step. Its result belongs to the caller.
        """
