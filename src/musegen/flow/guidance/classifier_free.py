"""Plain classifier-free guidance."""

from __future__ import annotations

from torch import Tensor

from musegen.flow.guidance.base import Guidance, Moment


class ClassifierFree(Guidance):
    """Go ``scale`` times as far from the unconditional prediction as the conditional one lies.

    Source: "Classifier-Free Diffusion Guidance", 2022, https://arxiv.org/abs/2207.12598.

    Args:
        scale: 1 is the conditional prediction alone (and costs half), 0 the unconditional one.
    """

    def __init__(self, scale: float = 3.0) -> None:
        super().__init__()
        self.scale = scale

    def needs_unconditional(self, time: Tensor) -> bool:
        """Unless the scale is 1."""
        return self.scale != 1

    def combine(self, conditional: Tensor, unconditional: Tensor, moment: Moment) -> Tensor:
        """Extrapolate from the unconditional prediction through the conditional one."""
        return unconditional + self.scale * (conditional - unconditional)
