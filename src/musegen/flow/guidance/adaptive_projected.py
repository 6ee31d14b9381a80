"""Guidance without the part that only makes the data larger."""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.flow.guidance.base import Guidance, Moment
from musegen.flow.paths.base import expand

SMALLEST_SIGMA = 1e-3
"""Momentum is kept as a difference of data; near the end, where data says little of the prediction, it is held back."""


class AdaptiveProjected(Guidance):
    """Adaptive projected guidance (APG).

    The difference of the two predictions is split, item by item, into a part along the expected data, which saturates,
    and a part across it, which follows the condition; its size, seen as a difference of data, can be limited.

    Source: "Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion Models", 2024,
    https://arxiv.org/abs/2410.02416.

    Args:
        scale: 1 is the conditional prediction alone.
        eta: how much of the part along the data is kept; 1 with no threshold and no momentum is plain guidance.
        threshold: largest norm of the difference of data, a whole item's; None for no limit.
        momentum: how much of the running difference is added at every evaluation; the paper's is negative. The field
            then depends on its history: for samplers that evaluate once a step.
    """

    def __init__(
        self, scale: float = 3.0, eta: float = 0.0, threshold: float | None = None, momentum: float = 0.0
    ) -> None:
        super().__init__()
        if threshold is not None and threshold <= 0:
            raise ValueError(f"AdaptiveProjected: threshold is above 0 or none, got {threshold}")
        if not -1 < momentum < 1:
            raise ValueError(f"AdaptiveProjected: momentum is between -1 and 1, got {momentum}")
        self.scale, self.eta, self.threshold, self.momentum = scale, eta, threshold, momentum

    def needs_unconditional(self, time: Tensor) -> bool:
        """Unless the scale is 1."""
        return self.scale != 1

    def combine(self, conditional: Tensor, unconditional: Tensor, moment: Moment) -> Tensor:
        """Guide across the expected data.

        All of it is homogeneous in the difference, and on both paths the expected data changes by sigma times what the
        prediction changes by; so the difference stays one of predictions, and nothing is divided by sigma.
        """
        difference = conditional - unconditional
        sigma = moment.path.sigma(expand(moment.time, difference))
        if self.momentum:
            sigma = sigma.clamp(min=SMALLEST_SIGMA)
            if "running" in moment.memory:
                difference = difference + self.momentum * moment.memory["running"] / sigma
            moment.memory["running"] = sigma * difference
        if self.threshold is not None:
            norm = (sigma * difference).flatten(1).norm(dim=1)
            difference = difference * expand((self.threshold / norm.clamp(min=1e-12)).clamp(max=1.0), difference)
        data = moment.path.denoised(conditional, moment.x, moment.time)
        along = _project(difference, data)
        return conditional + (self.scale - 1) * (difference + (self.eta - 1) * along)


def _project(vector: Tensor, onto: Tensor) -> Tensor:
    """The part of each item of ``vector`` that lies along the same item of ``onto``."""
    direction = torch.nn.functional.normalize(onto.flatten(1), dim=1)
    return ((vector.flatten(1) * direction).sum(dim=1, keepdim=True) * direction).view_as(vector)
