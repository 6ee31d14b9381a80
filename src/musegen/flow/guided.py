"""A network and what it is told, as a function of the noisy items and the time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from musegen.flow.execution.base import Execution, Step
from musegen.flow.execution.eager import Eager
from musegen.flow.guidance.base import Guidance, Moment
from musegen.flow.paths.base import Path
from musegen.models.base import Condition, FlowNetwork


class GuidedPrediction:
    """A network's prediction under guidance; the ``predict`` of a `Field`.

    Conditional and unconditional items run as one batch, the conditional ones first. Where guidance does not look at
    the unconditional prediction, the conditional half runs alone. Whatever does not change from step to step is
    prepared once for each of the two widths. The decision between them is taken only at a time that all items share, so
    that it never depends on an item's neighbours; with a time for each item the whole batch always runs.

    Args:
        network: predicts; its parameters' dtype is what it computes in.
        path: says what a prediction means.
        condition: what each item is told.
        unconditional: what it is guided away from: the network's null, or a negative condition. One item or as many
            as ``condition`` has. Not needed without guidance.
        guidance: None for the conditional prediction alone.
        execution: how the network's evaluations are run; None for one after another, as written.
    """

    def __init__(
        self,
        network: FlowNetwork,
        path: Path,
        condition: Condition,
        unconditional: Condition | None = None,
        guidance: Guidance | None = None,
        execution: Execution | None = None,
    ) -> None:
        self.network, self.path, self.guidance = network, path, guidance
        self.execution = execution or Eager(skip_null=False)
        parameter = next(network.parameters())
        self.dtype = parameter.dtype
        self.condition = condition.to(parameter.device, self.dtype)
        self.unconditional = None if unconditional is None else unconditional.to(parameter.device, self.dtype)
        self.memory: dict[str, Any] = {}
        self._steps: dict[bool, Step] = {}

    def __call__(self, x: Tensor, time: Tensor) -> Tensor:
        """Predict at ``x`` ``[batch, *shape]`` and a time that is a scalar or ``[batch]``; float32 as ``x`` is.

        To a network that jumps the time is ``[1, 2]``: where all items' step begins and ends.
        """
        now = time[0, 0] if time.ndim == 2 else time
        if self.guidance is None or (now.ndim == 0 and not self.guidance.needs_unconditional(now)):
            return self._predict(x, time, guided=False)
        conditional, unconditional = self._predict(x, time, guided=True).chunk(2)
        return self.guidance.combine(conditional, unconditional, Moment(x, now, self.path, self.memory))

    def _predict(self, x: Tensor, time: Tensor, guided: bool) -> Tensor:
        if guided not in self._steps:
            evaluate, kind = (self._evaluate_twice, "guided") if guided else (self._evaluate, "plain")
            self._steps[guided] = self.execution.begin(evaluate, self._prepare(guided), kind)
        if time.ndim == 0:
            times = times_of(x, time)
        elif time.ndim == 2:
            times = torch.stack([times_of(x, part) for part in time[0]], dim=1)
        else:
            times = time.to(device=x.device, dtype=torch.float32)
        return self._steps[guided](x, times)

    def _prepare(self, guided: bool) -> Any:
        if not guided:
            return self.network.prepare(self.condition)
        if self.unconditional is not None:
            return self.network.prepare(join(self.condition, self.unconditional))
        if self.execution.skip_null:
            return self.network.prepare_with_null(self.condition)
        return self.network.prepare(join(self.condition, self.network.null(self.condition)))

    def _evaluate(self, x: Tensor, times: Tensor, prepared: Any) -> Tensor:
        return self.network.predict(x.to(self.dtype), times, prepared).to(x.dtype)

    def _evaluate_twice(self, x: Tensor, times: Tensor, prepared: Any) -> Tensor:
        return self._evaluate(torch.cat((x, x)), torch.cat((times, times)), prepared)


def times_of(x: Tensor, time: Tensor) -> Tensor:
    """A scalar time for each item, ``[batch]``, float32: filled, since a copy would wait for the device."""
    return torch.full((len(x),), float(time), dtype=torch.float32, device=x.device)


def join(condition: Condition, unconditional: Condition) -> Condition:
    """Both conditions as one batch, the first one's items first.

    Raises:
        ValueError: if the unconditional one has other tokens than the conditional one.
    """
    if len(unconditional) == 1:
        unconditional = unconditional.map(lambda part: part.expand(len(condition), *part.shape[1:]))
    if unconditional.tokens.shape != condition.tokens.shape:
        raise ValueError(
            f"the unconditional condition has tokens {list(condition.tokens.shape)} like the conditional one, "
            f"or one item of them, got {list(unconditional.tokens.shape)}"
        )
    if (condition.vector is None) != (unconditional.vector is None):
        raise ValueError("a global vector is in both conditions or in none, got one")
    if (condition.mask is None) != (unconditional.mask is None):
        condition, unconditional = (replace(part, mask=real_tokens(part)) for part in (condition, unconditional))
    return Condition.concatenate([condition, unconditional])


def real_tokens(condition: Condition) -> Tensor:
    """The condition's mask, ``[batch, tokens]``; all True if it has none."""
    if condition.mask is not None:
        return condition.mask
    return torch.ones(condition.tokens.shape[:2], dtype=torch.bool, device=condition.tokens.device)
