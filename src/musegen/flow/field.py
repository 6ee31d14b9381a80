"""What a sampler integrates: a prediction of where the data lies, read in the way that the sampler needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from musegen.flow.paths.base import Path


class Field:
    """A prediction on a path, as velocity (for ODE solvers) or as expected data (for exponential integrators).

    A time is either a scalar tensor, shared by all items, or ``[batch]``, one for each item.

    Args:
        predict: from noisy items ``[batch, *shape]`` and a time to what a network predicts on the path, same shape.
        path: says what a prediction means.
        dtype: what the predictions are computed in, though they be handed over in another.
    """

    def __init__(
        self, predict: Callable[[Tensor, Tensor], Tensor], path: Path, dtype: torch.dtype = torch.float32
    ) -> None:
        self.predict = predict
        self.path = path
        self.resolution = torch.finfo(dtype).eps / 8
        """Relative error of a step under which rounding hides it: an adaptive method cannot reach a tolerance below."""
        self.evaluations = torch.zeros(0, dtype=torch.int64)
        """How often each item was evaluated, ``[batch]``, on the CPU; empty before the first time."""

    def velocity(self, x: Tensor, time: Tensor, active: Tensor | None = None) -> Tensor:
        """dx/dt of the probability-flow ODE at ``x``.

        Args:
            x: noisy items, ``[batch, *shape]``.
            time: scalar or ``[batch]``.
            active: True for the items whose result will be used, ``[batch]``, on the CPU; None for all. The others are
                evaluated with them, since shapes are fixed, but not counted.
        """
        return self.path.velocity(self._prediction(x, time, active), x, time)

    def denoised(self, x: Tensor, time: Tensor, active: Tensor | None = None) -> Tensor:
        """The expected data, E[data | x_t]; arguments as of `velocity`."""
        return self.path.denoised(self._prediction(x, time, active), x, time)

    def jump(self, x: Tensor, time: Tensor, end: Tensor) -> Tensor:
        """Where a model that was distilled to long steps says that a step ends; see `musegen.flow.distillation`.

        Args:
            x: noisy items, ``[batch, *shape]``.
            time: where the step begins, a scalar below 1.
            end: where it ends, a scalar.
        """
        prediction = self._prediction(x, torch.stack((time, end)).unsqueeze(0), None)
        return self.path.follow(prediction, x, time, end)

    def _prediction(self, x: Tensor, time: Tensor, active: Tensor | None) -> Tensor:
        if len(self.evaluations) == 0:
            self.evaluations = torch.zeros(len(x), dtype=torch.int64)
        self.evaluations += 1 if active is None else active.to(torch.int64)
        return self.predict(x, time)
