"""Ping-pong sampling, for models that were distilled to few steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.grids import EvenLogSNR, Grid
from musegen.flow.samplers.base import Noise, Sampler


class PingPong(Sampler):
    """Stochastic, one evaluation a step: to the expected data, and back to the next noise level with fresh noise.

    It samples correctly only from a model whose "expected data" is itself a sample, as adversarial post-training makes
    it; Stable Audio Open Small takes 8 steps. With an ordinary model the result is too smooth.

    Source: "Fast Text-to-Audio Generation with Adversarial Post-Training", 2025, https://arxiv.org/abs/2505.08175.
    """

    stochastic = True

    def default_grid(self) -> Grid:
        """Equal steps of log-SNR from -6 to 2, the first from pure noise and the last to the data."""
        return EvenLogSNR()

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        for step, (time, following) in enumerate(pairwise(times)):
            x = field.denoised(x, time)
            if field.path.sigma(following) > 0:
                x = field.path.interpolate(x, noise(step), following)
            yield x
