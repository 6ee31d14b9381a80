"""Stochastic samplers: their law in closed form, and step for step against an independent implementation."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from gaussian_flow import Gaussian
from helpers import require
from musegen.flow.field import Field
from musegen.flow.grids import EvenLogSNR, Polyexponential
from musegen.flow.noise import item_noise
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.base import Sampler
from musegen.flow.samplers.dpmpp_2m import DPMSolverPP2M
from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE
from musegen.flow.samplers.pingpong import PingPong

PATHS = [RectifiedFlow(), CosinePath()]
MEAN, STD = torch.tensor([0.5, -1.0], dtype=torch.float64), torch.tensor([0.4, 1.5], dtype=torch.float64)


def name(value: object) -> str:
    return type(value).__name__


def law(sampler: Sampler, path: Path, times: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of what a sampler makes of Gaussian data's own field.

    The field is affine, so the result is affine in the noise it starts from and in what each step draws: one item for
    each source of noise, with a 1 there and 0 elsewhere, shows the whole law without drawing a number.
    """
    sources = len(times) + 1
    x = torch.zeros(sources, 2, dtype=torch.float64)
    x[1] = 1.0

    def noise(step: int) -> Tensor:
        drawn = torch.zeros(sources, 2, dtype=torch.float64)
        drawn[step + 2] = 1.0
        return drawn

    start = times[0]
    x = path.interpolate(MEAN.expand_as(x), x, start)
    x[1] = path.alpha(start) * MEAN + (path.alpha(start) ** 2 * STD**2 + path.sigma(start) ** 2).sqrt()
    result = sampler.sample(Gaussian(path, MEAN, STD).field(), x, times, noise)
    return result[0], (result[1:] - result[0]).square().sum(0)


@pytest.mark.parametrize("path", PATHS, ids=name)
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_3m_sde_samples_the_data(path: Path, eta: float) -> None:
    errors = []
    for steps in (100, 200):
        sampler = DPMPP3MSDE(eta, grid=Polyexponential(1e-4, 1e4))
        mean, variance = law(sampler, path, sampler.times(steps, path))
        errors.append(float((variance / STD**2 - 1).abs().max()))
        torch.testing.assert_close(mean, MEAN, rtol=0, atol=5e-3)
    print(
        f"{name(path)} eta {eta}: relative error of the variance {errors[0]:.1e} at 100 steps, {errors[1]:.1e} at 200"
    )
    assert errors[1] < 0.02
    assert math.log2(errors[0] / errors[1]) > 1.5


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_3m_sde_by_drawing(path: Path) -> None:
    sampler = DPMPP3MSDE(grid=Polyexponential(1e-4, 1e4))
    gaussian = Gaussian(path, MEAN[:, None], STD[:, None])
    shape, times = (2, 40_000), sampler.times(100, path)
    x = item_noise([1], shape, "start", 0).double()
    drawn = sampler.sample(gaussian.field(), x, times, lambda step: item_noise([1], shape, "step", step).double())[0]
    torch.testing.assert_close(drawn.mean(1), MEAN, rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.std(1), STD, rtol=0.03, atol=0)
    assert abs(float(torch.corrcoef(drawn)[0, 1])) < 0.03


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_pingpong_law(path: Path) -> None:
    """Each step keeps the square of the denoiser's gain of the variance, and adds the next level's own noise."""
    sampler = PingPong()
    times = sampler.times(8, path)
    mean, variance = law(sampler, path, times)
    expected = torch.ones_like(STD)
    for time, following in pairwise(times):
        alpha, sigma = path.alpha(time), path.sigma(time)
        gain = alpha * STD**2 / (alpha**2 * STD**2 + sigma**2)
        expected = path.alpha(following) ** 2 * gain**2 * expected + path.sigma(following) ** 2
    torch.testing.assert_close(mean, MEAN, rtol=0, atol=1e-12)
    torch.testing.assert_close(variance, expected, rtol=1e-12, atol=0)


def curved(x: Tensor, time: Tensor) -> Tensor:
    """A prediction without structure, smooth in both arguments."""
    time = time.reshape(-1, *(1,) * (x.ndim - 1)) if time.ndim else time
    return torch.sin(2 * x + 3 * time) + 0.3 * x


@pytest.mark.parametrize("grid", [Polyexponential(), Polyexponential(0.05, 80.0, 1.3)])
@pytest.mark.parametrize("method", ["2m", "3m"])
def test_dpmpp_against_k_diffusion(method: str, grid: Polyexponential) -> None:
    """The published sampler in its own variables: data plus sigma times noise, v-objective, time from data to noise."""
    require("stable_audio_tools")
    from stable_audio_tools.inference import k_diffusion

    path, shape, steps = CosinePath(), (3, 5), 20
    levels = k_diffusion.sampling.get_sigmas_polyexponential(steps, grid.sigma_min, grid.sigma_max, grid.rho)
    torch.testing.assert_close(path.noise_level(grid.times(steps, path)).float(), levels, rtol=1e-5, atol=1e-6)
    levels = path.noise_level(grid.times(steps, path))
    seeds = [3, 4]
    start = item_noise(seeds, shape, "start", 0).double()
    draws = [item_noise(seeds, shape, "step", step).double() for step in range(steps)]
    remaining = iter(draws)
    denoiser = k_diffusion.external.VDenoiser(lambda x, noise_time: -curved(x, 1 - noise_time))
    if method == "2m":
        sampler = DPMSolverPP2M(grid)
        published = k_diffusion.sampling.sample_dpmpp_2m(denoiser, start * levels[0], levels, disable=True)
    else:
        sampler = DPMPP3MSDE(grid=grid)
        published = k_diffusion.sampling.sample_dpmpp_3m_sde(
            denoiser, start * levels[0], levels, disable=True, noise_sampler=lambda *_: next(remaining)
        )
    times = sampler.times(steps, path)
    ours = sampler.sample(Field(curved, path), path.sigma(times[0]) * start, times, draws.__getitem__)
    difference = float((ours - published).abs().max())
    print(f"dpm++ {method}: largest difference from k-diffusion {difference:.1e}")
    assert float(published.std()) > 0.1
    assert difference < 1e-9


def test_2m_on_rectified_flow_against_stable_audio_tools() -> None:
    require("stable_audio_tools")
    from stable_audio_tools.inference.sampling import sample_flow_dpmpp

    times = torch.linspace(0.05, 1, 21, dtype=torch.float64)
    x = item_noise([3, 4], (3, 5)).double()
    published = sample_flow_dpmpp(lambda x, noise_time: -curved(x, 1 - noise_time), x, 1 - times, disable_tqdm=True)
    ours = DPMSolverPP2M().sample(Field(curved, RectifiedFlow()), x, times)
    assert float(published.std()) > 0.1
    torch.testing.assert_close(ours, published, rtol=0, atol=1e-9)


def test_2m_against_diffusers() -> None:
    diffusers = require("diffusers")
    scheduler = diffusers.DPMSolverMultistepScheduler(  # type: ignore[attr-defined]
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=1.0, euler_at_final=True
    )
    scheduler.set_timesteps(12)
    times = 1 - scheduler.sigmas.double()
    x = item_noise([3, 4], (3, 5)).double()
    ours = DPMSolverPP2M().sample(Field(curved, RectifiedFlow()), x, times)
    state = x
    for step, timestep in enumerate(scheduler.timesteps):
        state = scheduler.step(-curved(state, times[step]), timestep, state).prev_sample
    assert float(state.std()) > 0.1
    torch.testing.assert_close(ours, state, rtol=0, atol=1e-5)


def test_pingpong_against_stable_audio_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    require("stable_audio_tools")
    from stable_audio_tools.inference.sampling import sample_flow_pingpong

    path, sampler = RectifiedFlow(), PingPong()
    times = sampler.times(8, path)
    # the published grid: log-SNR -6 to 2, its ends replaced by pure noise and the data
    torch.testing.assert_close(
        1 - times[1:-1], torch.sigmoid(-torch.linspace(-6, 2, 9, dtype=torch.float64))[1:-1], rtol=0, atol=1e-12
    )
    draws = [item_noise([3, 4], (3, 5), "step", step).double() for step in range(8)]
    remaining = iter(draws)
    monkeypatch.setattr(torch, "randn_like", lambda x: next(remaining))
    x = item_noise([3, 4], (3, 5)).double()
    published = sample_flow_pingpong(lambda x, noise_time: -curved(x, 1 - noise_time), x, 1 - times, disable_tqdm=True)
    ours = sampler.sample(Field(curved, path), x, times, draws.__getitem__)
    assert float(published.std()) > 0.1
    torch.testing.assert_close(ours, published, rtol=0, atol=1e-12)
    assert EvenLogSNR().config["init_args"] == {"low": -6.0, "high": 2.0}
