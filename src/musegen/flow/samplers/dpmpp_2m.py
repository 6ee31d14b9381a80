"""DPM-Solver++(2M)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.samplers.base import Noise, Sampler


class DPMSolverPP2M(Sampler):
    """Order 2, one evaluation a step: exact where the expected data is linear in the log-SNR, from two steps' worth.

    The linear part of the ODE is integrated exactly, in the log-SNR, which makes the method indifferent to the path. It
    may start at pure noise and end at the data, where the log-SNR is infinite; the step after a start at pure noise,
    and the one that ends at the data, are of order 1.

    Source: "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models", 2022,
    https://arxiv.org/abs/2211.01095.
    """

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        """Yield the items at every time after the first."""
        alphas, sigmas = field.path.alpha(times).tolist(), field.path.sigma(times).tolist()
        before, width_before = x, math.inf
        for step in range(len(times) - 1):
            denoised = field.denoised(x, times[step])
            width = log_snr_width(alphas, sigmas, step)
            # how far the expected data moves by the middle of the step, if it goes on as over the last one
            ahead = width / (2 * width_before) if step > 0 and width < math.inf else 0.0
            estimate = denoised + ahead * (denoised - before)
            x = sigmas[step + 1] / sigmas[step] * x - alphas[step + 1] * math.expm1(-width) * estimate
            before, width_before = denoised, width
            yield x


def log_snr_width(alphas: list[float], sigmas: list[float], step: int) -> float:
    """How far log(alpha / sigma) goes in a step; infinite from pure noise and to the data."""
    if alphas[step] == 0 or sigmas[step + 1] == 0:
        return math.inf
    return math.log(alphas[step + 1] / sigmas[step + 1]) - math.log(alphas[step] / sigmas[step])
