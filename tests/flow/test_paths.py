"""Paths against their own definitions: derivatives by finite differences, inverses, ends, and the uninformed loss."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from musegen.flow.noise import training_noise, training_uniform
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow

PATHS = [RectifiedFlow(), CosinePath()]


def name(path: Path) -> str:
    return type(path).__name__


@pytest.fixture
def items() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    data, noise = torch.randn(2, 5, 3, 7, generator=generator, dtype=torch.double)
    return data, noise, torch.tensor([0.0, 0.1, 0.5, 0.93, 1.0], dtype=torch.double)


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_ends_are_noise_and_data(path: Path, items: tuple[Tensor, Tensor, Tensor]) -> None:
    data, noise, _ = items
    for dtype in (torch.float32, torch.float64):
        assert torch.equal(path.interpolate(data.to(dtype), noise.to(dtype), torch.tensor(0.0)), noise.to(dtype))
        assert torch.equal(path.interpolate(data.to(dtype), noise.to(dtype), torch.tensor(1.0)), data.to(dtype))


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_velocity_of_the_target_is_the_derivative_of_interpolate(path: Path, items: tuple) -> None:
    data, noise, time = items
    x = path.interpolate(data, noise, time)
    velocity = path.velocity(path.target(data, noise, time), x, time)
    width = 1e-5
    difference = path.interpolate(data, noise, time + width) - path.interpolate(data, noise, time - width)
    torch.testing.assert_close(velocity, difference / (2 * width), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_the_target_denoises_to_the_data(path: Path, items: tuple[Tensor, Tensor, Tensor]) -> None:
    data, noise, time = items
    x = path.interpolate(data, noise, time)
    torch.testing.assert_close(path.denoised(path.target(data, noise, time), x, time), data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_prediction_and_denoised_are_inverse(path: Path, items: tuple[Tensor, Tensor, Tensor]) -> None:
    x, prediction, time = items
    x, prediction, time = x[:4], prediction[:4], time[:4]
    denoised = path.denoised(prediction, x, time)
    torch.testing.assert_close(path.prediction(denoised, x, time), prediction, rtol=1e-11, atol=1e-11)
    assert float((denoised - x).std()) > 0.1


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_noise_level_and_its_inverse(path: Path) -> None:
    time = torch.linspace(0, 1, 101, dtype=torch.double)
    level = path.noise_level(time)
    assert float(level[0]) == math.inf
    assert float(level[-1]) == 0.0
    assert bool((level[1:] < level[:-1]).all())
    torch.testing.assert_close(path.time_at(level), time, rtol=1e-12, atol=1e-12)


def test_the_published_v_is_the_negative(items: tuple[Tensor, Tensor, Tensor]) -> None:
    """Stable Audio's v = alpha · noise − sigma · data, at noise time 1 − t."""
    data, noise, time = items
    angle = ((1 - time) * math.pi / 2)[:, None, None]
    published = torch.cos(angle) * noise - torch.sin(angle) * data
    torch.testing.assert_close(CosinePath().target(data, noise, time), -published)


def test_the_best_uninformed_loss_on_rectified_flow() -> None:
    """A model that knows only that the data is isotropic with standard deviation s has mean loss s · π/2."""
    std, path, seeds = 0.3, RectifiedFlow(), torch.arange(200_000)
    data, noise = std * training_noise(seeds, (4,), 0), training_noise(seeds, (4,), 1)
    time = training_uniform(seeds)
    alpha, sigma = time[:, None], 1 - time[:, None]
    gain = (alpha * std**2 - sigma) / (alpha**2 * std**2 + sigma**2)
    error = path.target(data, noise, time) - gain * path.interpolate(data, noise, time)
    assert float(error.square().mean()) == pytest.approx(std * math.pi / 2, rel=0.01)


def test_the_best_uninformed_loss_on_the_cosine_path() -> None:
    """There it is s, on average over uniform times."""
    std, path, seeds = 0.3, CosinePath(), torch.arange(200_000)
    data, noise = std * training_noise(seeds, (4,), 0), training_noise(seeds, (4,), 1)
    time = training_uniform(seeds)
    alpha, sigma = path.alpha(time)[:, None], path.sigma(time)[:, None]
    gain = alpha * sigma * (std**2 - 1) / (alpha**2 * std**2 + sigma**2)
    error = path.target(data, noise, time) - gain * path.interpolate(data, noise, time)
    assert float(error.square().mean()) == pytest.approx(std, rel=0.01)
