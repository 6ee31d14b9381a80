"""The way of models that were distilled to few steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class Jump(Sampler):
    """One evaluation a step, straight to where the model says that the step ends: exact if the model is.

    It is for networks that are told where a step ends (`musegen.models.jumping`), which learned it from another
    model's whole way (`musegen.flow.distillation`); guidance is part of what they learned, so it is 1 for them.

    Source: Boffi, Albergo and Vanden-Eijnden, Flow Map Matching, 2024, https://arxiv.org/abs/2406.07507.
    """

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for time, following in pairwise(times):
            x = field.jump(x, time, following)
            yield x
