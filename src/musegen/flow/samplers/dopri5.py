"""Dormand and Prince's method with a step size of its own for every item."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.paths.base import expand
from musegen.flow.samplers.base import Noise, Sampler

# Dormand and Prince, "A family of embedded Runge-Kutta formulae" (1980)
NODES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
# Hairer, Nørsett and Wanner, "Solving Ordinary Differential Equations I" (1993), II.6: the dense output of order 4
DENSE = (
    -12715105075 / 11282082432,
    0.0,
    87487479700 / 32700410799,
    -10690763975 / 1880347072,
    701980252875 / 199316789632,
    -1453857185 / 822651844,
    69997945 / 29380423,
)
# the same book, II.4: how far a step may shrink and grow, and how much is left for safety
SHRINK, GROW, SAFETY = 0.2, 10.0, 0.9


class Dopri5(Sampler):
    """Order 5, adaptive for each item: six evaluations for a step whose size follows from the item's own error.

    The grid's times are where the solution is read, not where it steps; how many evaluations an item takes follows from
    the tolerances. Items step side by side in one batch, each by its own size, and one that has arrived stays where it
    is, so that no item's result depends on its neighbours. The velocity is never asked for after the last time.

    Args:
        rtol: tolerated error of a step relative to the item's values; no less than what the field's rounding lets it
            see, which is 1e-3 in bfloat16 (`Field.resolution`).
        atol: tolerated error of a step, absolute.
        max_evaluations: of one item; more is an error.
    """

    def __init__(self, rtol: float = 1e-5, atol: float = 1e-5, max_evaluations: int = 1000) -> None:
        super().__init__()
        if rtol < 0 or atol < 0 or rtol + atol == 0:
            raise ValueError(f"Dopri5: rtol and atol are not negative and not both 0, got {rtol} and {atol}")
        self.rtol, self.atol, self.max_evaluations = rtol, atol, max_evaluations

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        end = times[-1]
        rtol = max(self.rtol, field.resolution)
        time = times[0].repeat(len(x))  # each item's own, on the CPU in float64, like its step size
        slope = field.velocity(x, time.to(x))
        size = self._first_size(field, x, time, slope, end, rtol)
        evaluations = torch.full((len(x),), 2)
        read: dict[int, Tensor] = {}  # grid times that some of the items have passed
        reached = 1
        while reached < len(times):
            active = time < end
            self._check(evaluations, time, active)
            size = torch.minimum(size, end - time)
            slopes = _stages(field, x, time, size, slope, active, end)
            evaluations += 6 * active
            width = expand(size.to(x), x)
            arrived = x + width * _combine(STAGES[-1], slopes)
            error = self._error(width * _combine(ERROR, slopes), torch.maximum(x.abs(), arrived.abs()), rtol)
            if not bool(error[active].isfinite().all()):
                raise ValueError(f"Dopri5: the velocity is not finite near time {float(time[active].min()):.4f}")
            accepted = active & (error <= 1)
            following = torch.where(size < end - time, time + size, end)
            for index in range(reached, len(times)):
                passed = accepted & (time < times[index]) & (times[index] <= following)
                if bool(passed.any()):
                    share = expand(((times[index] - time) / size).to(x), x)
                    state = _between(x, arrived, width, slopes, share)
                    read[index] = _choose(passed, state, read.get(index, x))
            x, slope = _choose(accepted, arrived, x), _choose(accepted, slopes[-1], slope)
            time = torch.where(accepted, following, time)
            growth = SAFETY * error.clamp(min=1e-10) ** -0.2
            size = torch.where(active, size * growth.clamp(SHRINK, GROW).maximum(accepted.to(growth)), size)
            while reached < len(times) and bool((time >= times[reached]).all()):
                # at the end the state itself, rather than what the dense output says of it
                yield read.pop(reached) if reached < len(times) - 1 else x
                reached += 1

    def _error(self, error: Tensor, scale: Tensor, rtol: float) -> Tensor:
        """Root mean square of each item's error over its tolerance, ``[batch]``, on the CPU in float64.

        Items are reduced one by one, each where memory begins evenly: a reduction may add in another order where the
        batch is larger, or where an item begins elsewhere.
        """
        relative = (error / (self.atol + rtol * scale)).square()
        return torch.stack([item.clone().mean().sqrt() for item in relative]).to("cpu", torch.float64)

    def _first_size(self, field: Field, x: Tensor, time: Tensor, slope: Tensor, end: Tensor, rtol: float) -> Tensor:
        """Guess each item's first step from its size and curvature; the algorithm of Hairer et al., II.4."""
        of_state, of_slope = self._error(x, x.abs(), rtol), self._error(slope, x.abs(), rtol)
        tiny = (of_state < 1e-5) | (of_slope < 1e-5)
        probe = torch.where(tiny, 1e-6, 0.01 * of_state / of_slope).minimum(end - time)
        moved = x + expand(probe.to(x), x) * slope
        bend = self._error(field.velocity(moved, (time + probe).to(x)) - slope, x.abs(), rtol) / probe
        steepest = torch.maximum(of_slope, bend)
        size = torch.where(steepest <= 1e-15, (probe * 1e-3).clamp(min=1e-6), (0.01 / steepest) ** 0.2)
        return torch.minimum(100 * probe, size)

    def _check(self, evaluations: Tensor, time: Tensor, active: Tensor) -> None:
        late = active & (evaluations + 6 > self.max_evaluations)
        if bool(late.any()):
            raise ValueError(
                f"Dopri5: an item needs more than {self.max_evaluations} evaluations (it is at time "
                f"{float(time[late].min()):.4f} of 1): loosen rtol {self.rtol} and atol {self.atol}, or raise "
                "max_evaluations"
            )


def _stages(
    field: Field, x: Tensor, time: Tensor, size: Tensor, slope: Tensor, active: Tensor, end: Tensor
) -> list[Tensor]:
    """The seven slopes of a step; the last is the slope where it arrives, and the first of the next step."""
    width, slopes = expand(size.to(x), x), [slope]
    for node, weights in zip(NODES, STAGES, strict=True):
        state = x + width * _combine(weights, slopes)
        slopes.append(field.velocity(state, torch.minimum(time + node * size, end).to(x), active))
    return slopes


def _combine(weights: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    """Weighted sum of as many slopes as there are weights."""
    total = weights[0] * slopes[0]
    for weight, slope in zip(weights[1:], slopes[1:], strict=False):
        if weight:
            total = total + weight * slope
    return total


def _between(x: Tensor, arrived: Tensor, width: Tensor, slopes: list[Tensor], share: Tensor) -> Tensor:
    """The solution inside a step, at a share of it."""
    change = arrived - x
    left = width * slopes[0] - change
    right = change - width * slopes[-1] - left
    inner = right + (1 - share) * width * _combine(DENSE, slopes)
    return x + share * (change + (1 - share) * (left + share * inner))


def _choose(which: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    """Items of ``chosen`` where True, of ``other`` elsewhere."""
    return torch.where(expand(which.to(chosen.device), chosen), chosen, other)
