"""Classifier-free guidance whose result is brought back to the size of the conditional prediction."""

from __future__ import annotations

from torch import Tensor

from musegen.flow.guidance.base import Guidance, Moment
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.paths.base import expand


class Rescaled(Guidance):
    """Plain guidance, then part of the way back to the conditional prediction's standard deviation.

    A large scale inflates predictions, which saturates what is generated; each item's deviation over all its elements
    says by how much.

    Source: "Common Diffusion Noise Schedules and Sample Steps are Flawed", 2023, section 3.4,
    https://arxiv.org/abs/2305.08891.

    Args:
        scale: scale of the plain guidance.
        rescale: how much of the way back, 0 (none) … 1 (all).
    """

    def __init__(self, scale: float = 3.0, rescale: float = 0.7) -> None:
        super().__init__()
        if not 0 <= rescale <= 1:
            raise ValueError(f"Rescaled: rescale is between 0 and 1, got {rescale}")
        self.plain, self.rescale = ClassifierFree(scale), rescale

    def needs_unconditional(self, time: Tensor) -> bool:
        """Unless the scale is 1."""
        return self.plain.needs_unconditional(time)

    def combine(self, conditional: Tensor, unconditional: Tensor, moment: Moment) -> Tensor:
        """Guide, then mix with the rescaled result."""
        guided = self.plain.combine(conditional, unconditional, moment)
        ratio = conditional.flatten(1).std(dim=1) / guided.flatten(1).std(dim=1).clamp(min=1e-12)
        return guided * expand(1 + self.rescale * (ratio - 1), guided)
