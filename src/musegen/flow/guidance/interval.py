"""Guidance where it helps, and half the cost elsewhere."""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.flow.guidance.base import Guidance, Moment
from musegen.flow.paths.base import expand


class Interval(Guidance):
    """Another guidance, inside an interval of flow times only; outside it the conditional prediction stands.

    Guidance early, from noise, narrows what is generated; late, near the data, it changes nothing but the cost.

    Source: "Applying Guidance in a Limited Interval Improves Sample and Distribution Quality in Diffusion Models",
    2024, https://arxiv.org/abs/2404.07724.

    Args:
        guidance: what guides inside.
        start: first flow time inside, 0 is noise.
        end: last flow time inside, 1 is data.
    """

    def __init__(self, guidance: Guidance, start: float = 0.2, end: float = 0.8) -> None:
        super().__init__()
        if not 0 <= start <= end <= 1:
            raise ValueError(f"Interval: 0 <= start <= end <= 1, got start {start} and end {end}")
        self.guidance, self.start, self.end = guidance, start, end

    def needs_unconditional(self, time: Tensor) -> bool:
        """Inside the interval, if the guidance does."""
        return bool(self._inside(time)) and self.guidance.needs_unconditional(time)

    def combine(self, conditional: Tensor, unconditional: Tensor, moment: Moment) -> Tensor:
        """Guide the items that are inside."""
        guided = self.guidance.combine(conditional, unconditional, moment)
        inside = self._inside(moment.time).to(guided.device)
        return torch.where(expand(inside, guided), guided, conditional)

    def _inside(self, time: Tensor) -> Tensor:
        return (time >= self.start) & (time <= self.end)
