"""One request for samples, run a lane at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from musegen.flow.execution.base import Execution
from musegen.flow.field import Field
from musegen.flow.guidance.base import Guidance
from musegen.flow.guided import GuidedPrediction
from musegen.flow.lanes import Lane, check_lane, default_width, fastest_width, run_in_lanes
from musegen.flow.noise import hash_seed, item_noise
from musegen.flow.paths.base import Path
from musegen.flow.samplers.base import Progress, Sampler
from musegen.models.base import Condition, FlowNetwork


@dataclass(frozen=True)
class Request:
    """What is asked for, item by item; everything in the network's standardised space.

    Args:
        network: what predicts.
        path: what it was trained on.
        condition: what each item is told, one for all or one for each.
        unconditional: what guidance leads away from, likewise; None for the network's null.
        guidance: None for the conditional prediction alone.
        sampler: the method.
        times: where it stops, ``[steps + 1]``.
        seeds: one for each item.
        origin: data that is noised up to the first time, ``[items or 1, *shape]``; zeros for none.
        x0: the noise to start from, ``[items, *shape]``; None to draw it from the seeds.
        execution: how the network's evaluations are run; None for one after another, as written.
        narrowed: told the width of a lane that memory suffices for, where it does not for the one that was asked for.
    """

    network: FlowNetwork
    path: Path
    condition: Condition
    unconditional: Condition | None
    guidance: Guidance | None
    sampler: Sampler
    times: Tensor
    seeds: Sequence[int]
    origin: Tensor
    x0: Tensor | None = None
    execution: Execution | None = None
    narrowed: Callable[[int], object] | None = None

    def run(self, lane: Lane = None, progress: Progress | None = None) -> Tensor:
        """Sample every item, ``[items, *shape]``, float32, on the device of ``origin``."""
        items = len(self.seeds)

        def run(places: Tensor) -> Tensor:
            start = self._noise(places, "start", 0) if self.x0 is None else self.x0[places].to(self.origin)
            x = self.path.interpolate(pick(self.origin, places), start, self.times[0])
            field = Field(self._predict(places), self.path, self.computes_in)
            report = None if progress is None else in_lane(progress, places, items)
            return self.sampler.sample(field, x, self.times, lambda step: self._noise(places, "step", step), report)

        return run_in_lanes(run, items, self._width(lane, items), self.narrowed)

    @property
    def computes_in(self) -> torch.dtype:
        """What the network's products are rounded to: its own dtype, or autocast's where that is on."""
        parameter = next(self.network.parameters())
        device = parameter.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else parameter.dtype

    def _predict(self, places: Tensor) -> GuidedPrediction:
        away = None if self.unconditional is None else pick(self.unconditional, places)
        told = pick(self.condition, places)
        return GuidedPrediction(self.network, self.path, told, away, self.guidance, self.execution)

    def _noise(self, places: Tensor, purpose: str, step: int) -> Tensor:
        """Each place's own noise. The stream holds the channels too: two stages of one seed do not share noise."""
        shape = self.origin.shape[1:]
        seeds = [self.seeds[place] for place in places.tolist()]
        drawn = item_noise(seeds, shape, hash_seed(purpose, shape[0]), step)
        if self.origin.is_cuda:
            drawn = drawn.pin_memory()  # so that the copy does not wait for what the device still computes
        return drawn.to(self.origin.device, non_blocking=True)

    def _width(self, lane: Lane, items: int) -> int:
        check_lane(lane)
        device = self.origin.device
        if not self.sampler.batched:
            return 1
        if lane == "auto":
            return fastest_width(self._evaluate_once, items, device)
        return lane if isinstance(lane, int) else default_width(device, small=self.origin.ndim == 2)

    def _evaluate_once(self, width: int) -> None:
        places = torch.arange(width) % len(self.seeds)
        self._predict(places)(self.origin.new_zeros(width, *self.origin.shape[1:]), torch.tensor(0.5))


def pick(items: Any, places: Tensor) -> Any:
    """Some items of a condition or a tensor; a single one stands for every place."""
    return items[torch.zeros_like(places) if len(items) == 1 else places]


def count_items(
    condition: Condition, seeds: Sequence[int] | None, x0: Tensor | None, unconditional: Condition | None = None
) -> int:
    """How many items a request asks for.

    Raises:
        ValueError: if seeds, noise and conditions of either kind are not equally many, or there are none.
    """
    if seeds is None and x0 is None:
        raise ValueError("seeds: expected one for each item, or x0 in their place, got neither")
    counts = {len(given) for given in (seeds, x0) if given is not None}
    items = counts.pop()
    if counts or items == 0 or len(condition) not in (1, items):
        raise ValueError(
            f"expected as many conditions (or a single one) as seeds and x0, got {len(condition)} conditions, "
            f"{'no' if seeds is None else len(seeds)} seeds and {'no' if x0 is None else len(x0)} x0"
        )
    if unconditional is not None and len(unconditional) not in (1, items):
        raise ValueError(f"unconditional: expected 1 or {items}, as there are items, got {len(unconditional)}")
    return items


def seeds_of(x0: Tensor) -> list[int]:
    """A seed for each item, made of the noise that it starts from."""
    return [hash_seed(item.numpy().tobytes().hex()) for item in x0.detach().float().cpu().contiguous()]


def in_lane(progress: Progress, places: Tensor, items: int) -> Progress:
    """Tell of a lane's steps as of the whole request's, summed over items."""
    before, here = int(places[0]), len(places.unique())
    return lambda done, steps: progress(before * steps + here * done, items * steps)
