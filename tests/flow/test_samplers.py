"""Convergence orders against exact solutions, evaluations counted, and what every sampler has in common."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from gaussian_flow import problem
from musegen.flow.field import Field
from musegen.flow.grids import EvenTimes, Polyexponential
from musegen.flow.noise import item_noise
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.base import Noise, Sampler
from musegen.flow.samplers.dopri5 import Dopri5
from musegen.flow.samplers.dpmpp_2m import DPMSolverPP2M
from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.heun import Heun
from musegen.flow.samplers.midpoint import Midpoint
from musegen.flow.samplers.pingpong import PingPong
from musegen.flow.samplers.rk4 import RK4
from musegen.flow.samplers.torchdiffeq import TorchDiffEq

PATHS = [RectifiedFlow(), CosinePath()]
WIDE = Polyexponential(1e-6, 1e6)
# sampler, order, evaluations a step
ORDERS = [
    (Euler(), 1, 1),
    (Midpoint(), 2, 2),
    (Heun(), 2, 2),
    (RK4(), 4, 4),
    (DPMSolverPP2M(WIDE), 2, 1),
    (DPMPP3MSDE(eta=0.0, grid=WIDE), 2, 1),
    (DPMPP3MSDE(eta=0.0, full_weight=True, grid=WIDE), 3, 1),
    (TorchDiffEq("midpoint"), 2, 2),
    (TorchDiffEq("rk4"), 4, 4),
]
EVERY = [Euler(), Midpoint(), Heun(), RK4(), DPMSolverPP2M(), DPMPP3MSDE(), PingPong(), Dopri5(), TorchDiffEq("rk4")]


def name(value: object) -> str:
    return f"{type(value).__name__}-{getattr(value, 'method', '')}" if not isinstance(value, int) else str(value)


def noise_of(seeds: list[int], shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Noise:
    return lambda step: item_noise(seeds, shape, "test", step).to(dtype)


@pytest.mark.parametrize("path", PATHS, ids=name)
@pytest.mark.parametrize(("sampler", "order", "cost"), ORDERS, ids=name)
def test_order_of_convergence(path: Path, sampler: Sampler, order: int, cost: int) -> None:
    """The error against the closed form falls by 2 to the order when steps double."""
    gaussian, x = problem(path)
    errors = []
    for steps in (160, 320):
        times, field = sampler.times(steps, path), gaussian.field()
        exact = gaussian.solve(x, times[0], times[-1])
        errors.append(float((sampler.sample(field, x, times) - exact).abs().max()))
        assert field.evaluations.tolist() == [cost * steps] * len(x)
    assert float(exact.std()) > 0.1
    measured = math.log2(errors[0] / errors[1])
    print(f"{name(sampler)} {name(path)}: order {measured:.2f}, error {errors[1]:.1e} at 320 steps")
    # the midpoint rule and the third-order multistep gain an order on this problem, whose field is affine
    gains = isinstance(sampler, Midpoint) or name(sampler) == "TorchDiffEq-midpoint" or order == 3
    assert order - 0.2 < measured < order + (1.2 if gains else 0.5)


@pytest.mark.parametrize("path", PATHS, ids=name)
@pytest.mark.parametrize("sampler", [DPMSolverPP2M(), DPMPP3MSDE(eta=0.0, grid=EvenTimes())], ids=name)
def test_exponential_integrators_start_at_pure_noise(path: Path, sampler: Sampler) -> None:
    """From t = 0 to t = 1, where the log-SNR is infinite, they converge still, between order 1 and 2."""
    gaussian, x = problem(path)
    errors = []
    for steps in (80, 320):
        times = sampler.times(steps, path)
        exact = gaussian.solve(x, times[0], times[-1])
        errors.append(float((sampler.sample(gaussian.field(), x, times) - exact).abs().max()))
    assert math.log2(errors[0] / errors[1]) / 2 > 1.4


@pytest.mark.parametrize("path", PATHS, ids=name)
@pytest.mark.parametrize("sampler", EVERY, ids=name)
def test_items_do_not_see_each_other(path: Path, sampler: Sampler) -> None:
    """Alone, among others, reordered, beside copies: the same bits, also where the field is not linear."""
    gaussian, x = problem(path, torch.float32)
    x = torch.cat([x, 3 * x.flip(0)])
    seeds, order, steps = [4, 0, 9, 2**40, 7, 1], [3, 0, 0, 5], 12

    def predict(x: Tensor, time: Tensor) -> Tensor:
        return gaussian.predict(x, time) + 0.3 * torch.sin(3 * x)

    def run(picked: list[int]) -> Tensor:
        noise = noise_of([seeds[item] for item in picked], (4,), torch.float32)
        return sampler.sample(Field(predict, path), x[picked], sampler.times(steps, path), noise)

    together = run(list(range(6)))
    assert together.dtype == torch.float32
    assert float(together.std()) > 0.1
    assert torch.equal(run(order), together[order])
    for item in range(6):
        assert torch.equal(run([item])[0], together[item])


@pytest.mark.parametrize("sampler", EVERY, ids=name)
def test_trajectory_progress_and_start_time(sampler: Sampler) -> None:
    path = CosinePath()
    gaussian, x = problem(path)
    x = x[:1]
    times = sampler.times(7, path, start=0.4)
    assert float(times[0]) == 0.4
    assert (len(times), float(times[-1])) == (8, 1.0)
    calls: list[tuple[int, int]] = []
    noise = noise_of([1], (4,))
    last = sampler.sample(gaussian.field(), x, times, noise, lambda done, total: calls.append((done, total)))
    assert calls == [(step, 7) for step in range(1, 8)]
    states = list(sampler.trajectory(gaussian.field(), x, times, noise))
    assert torch.equal(states[-1], last)
    assert len({float(state.sum()) for state in states}) == 7


def test_times_and_noise_are_checked() -> None:
    gaussian, x = problem(RectifiedFlow())
    for times in ([0.0, 0.5, 0.5, 1.0], [0.0], [1.0, 0.0], [0.0, 1.5], [-0.5, 1.0]):
        with pytest.raises(ValueError, match="increasing"):
            Euler().sample(gaussian.field(), x, torch.tensor(times))
    with pytest.raises(ValueError, match="draws noise"):
        PingPong().sample(gaussian.field(), x, torch.linspace(0, 1, 3))
    with pytest.raises(ValueError, match="one item at a time, got 3"):
        TorchDiffEq("dopri5").sample(gaussian.field(), x, torch.linspace(0, 1, 3))
    with pytest.raises(ValueError, match="method is one of euler"):
        TorchDiffEq("leapfrog")


class Unmarked(Sampler):
    """Forgot to say that it is stochastic."""

    def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
        for step, _ in enumerate(pairwise(times)):
            x = x + noise(step)
            yield x


def test_a_sampler_in_one_class_and_its_mistake() -> None:
    gaussian, x = problem(RectifiedFlow())
    with pytest.raises(ValueError, match="not marked stochastic"):
        Unmarked().sample(gaussian.field(), x, torch.linspace(0, 1, 3))
    assert Unmarked().config["init_args"] == {"grid": None}
    assert Euler(EvenTimes(3.0)).config["init_args"]["grid"]["init_args"] == {"shift": 3.0}
