"""DPM-Solver++(3M) SDE."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.grids import Grid, Polyexponential
from musegen.flow.samplers.base import Noise, Sampler
from musegen.flow.samplers.dpmpp_2m import log_snr_width


class DPMPP3MSDE(Sampler):
    """Stochastic, one evaluation a step, with the expected data of three steps; k-diffusion's ``dpmpp_3m_sde``.

    It is what Stable Audio Open 1.0 was published with: 100 steps on the default grid. The published form gives the
    expected data's second derivative half the weight that its Taylor series asks for, which leaves it at order 2 (with
    ``eta`` 0); with ``full_weight`` it is of order 3.

    Source: "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", 2022,
    https://arxiv.org/abs/2211.01095; the three-step variant is Katherine Crowson's,
    https://github.com/crowsonkb/k-diffusion.

    Args:
        eta: how much noise is renewed on the way; 0 for the ODE, 1 for the reverse SDE of the path.
        full_weight: give the second derivative its full weight, unlike the published form.
        grid: where it stops; None for ``Polyexponential(0.3, 500)``.
    """

    stochastic = True

    def __init__(self, eta: float = 1.0, full_weight: bool = False, grid: Grid | None = None) -> None:
        super().__init__(grid)
        if eta < 0:
            raise ValueError(f"DPMPP3MSDE: eta is not negative, got {eta}")
        self.eta = eta
        self.bend_weight = 2.0 if full_weight else 1.0
        self.stochastic = eta > 0

    def default_grid(self) -> Grid:
        """Noise levels 500 to 0.3, evenly in their logarithm, then the data."""
        return Polyexponential()

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        alphas, sigmas = field.path.alpha(times).tolist(), field.path.sigma(times).tolist()
        past: list[tuple[Tensor, float]] = []  # expected data and width of the steps before, the latest first
        for step in range(len(times) - 1):
            denoised = field.denoised(x, times[step])
            width = log_snr_width(alphas, sigmas, step)
            if sigmas[step + 1] == 0:
                x = alphas[step + 1] * denoised
            else:
                drift = width * (1 + self.eta)
                kept = math.exp(-width * self.eta) if self.eta else 1.0
                change = -math.expm1(-drift) * denoised + self._correction(denoised, past, width, drift)
                x = sigmas[step + 1] / sigmas[step] * kept * x + alphas[step + 1] * change
                if self.eta:
                    x = x + sigmas[step + 1] * math.sqrt(-math.expm1(-2 * width * self.eta)) * noise(step)
            past = [(denoised, width), *past[:1]]
            yield x

    def _correction(
        self, denoised: Tensor, past: list[tuple[Tensor, float]], width: float, drift: float
    ) -> Tensor | float:
        """What the expected data's first and second differences over the steps before add to a step."""
        if not past:
            return 0.0
        second_order = math.expm1(-drift) / drift + 1
        (before, width_before), *earlier = past
        slope = (denoised - before) * (width / width_before)
        if not earlier:
            return second_order * slope
        third_order = second_order / drift - 0.5
        ((long_before, width_long_before),) = earlier
        if width_long_before == math.inf:
            return second_order * slope
        bend = slope - (before - long_before) * (width / width_long_before)
        slope = slope + bend * (width_before / (width_before + width_long_before))
        bend = bend * (width / (width_before + width_long_before))
        return second_order * slope - self.bend_weight * third_order * bend
