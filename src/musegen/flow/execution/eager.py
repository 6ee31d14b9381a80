"""As it is written."""

from __future__ import annotations

from typing import Any

from musegen.flow.execution.base import Evaluate, Execution, Step
from musegen.models.base import FlowNetwork


class Eager(Execution):
    """Run every operation as it comes, on any device."""

    def prepare(self, network: FlowNetwork) -> None:
        """Nothing is needed."""

    def begin(self, evaluate: Evaluate, prepared: Any, kind: str) -> Step:
        """Evaluate at every step."""
        return lambda x, times: evaluate(x, times, prepared)
