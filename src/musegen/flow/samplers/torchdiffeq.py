"""torchdiffeq's solvers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.grids import Grid
from musegen.flow.samplers.base import Noise, Sampler

FIXED = ("euler", "midpoint", "heun2", "heun3", "rk4", "explicit_adams")
"""Methods that treat every item by itself."""

ADAPTIVE = ("dopri8", "dopri5", "bosh3", "fehlberg2", "adaptive_heun")
"""Methods whose step size comes from an error over the whole batch."""

ITERATIVE = ("implicit_adams",)
"""Methods that iterate until the whole batch has converged."""


class TorchDiffEq(Sampler):
    """A solver of torchdiffeq, https://github.com/rtqichen/torchdiffeq, by its name there.

    A fixed method steps on the grid. An adaptive one chooses its own steps, and the grid only says where its solution
    is read; its error is a norm over the batch, so it takes one item at a time (`musegen.flow.samplers.dopri5.Dopri5`
    does not have to).

    Args:
        method: euler, midpoint, heun2, heun3, rk4, explicit_adams; dopri8, dopri5, bosh3, fehlberg2, adaptive_heun;
            implicit_adams.
        rtol: relative tolerance of an adaptive or implicit method; no less than `Field.resolution`.
        atol: absolute tolerance of an adaptive or implicit method.
        grid: where it stops; None for equal steps of time.
    """

    def __init__(
        self, method: str = "dopri5", rtol: float = 1e-5, atol: float = 1e-5, grid: Grid | None = None
    ) -> None:
        super().__init__(grid)
        known = FIXED + ADAPTIVE + ITERATIVE
        if method not in known:
            raise ValueError(f"TorchDiffEq: method is one of {', '.join(known)}, got {method!r}")
        self.method, self.rtol, self.atol = method, rtol, atol
        self.batched = method in FIXED

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first; all of them at the end."""
        from torchdiffeq import odeint

        times = times.to(x.device, torch.float32 if x.device.type == "mps" else None)  # which has no float64
        # an adaptive method would otherwise step past the data, and ask the network about times after 1
        options = {"step_t": times[-1:]} if self.method in ADAPTIVE else {}

        def velocity(time: Tensor, state: Tensor) -> Tensor:
            return field.velocity(state, time)

        rtol = max(self.rtol, field.resolution)
        solution = odeint(velocity, x, times, rtol=rtol, atol=self.atol, method=self.method, options=options)
        yield from cast(Tensor, solution)[1:]
