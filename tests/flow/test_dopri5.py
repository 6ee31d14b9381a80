"""The adaptive solver against the closed form and against torchdiffeq's, item by item."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from gaussian_flow import problem
from musegen.flow.field import Field
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.base import Noise, Sampler
from musegen.flow.samplers.dopri5 import Dopri5
from musegen.flow.samplers.torchdiffeq import TorchDiffEq
from small_flow import small_model, told

PATHS = [RectifiedFlow(), CosinePath()]


def name(path: Path) -> str:
    return type(path).__name__


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_error_follows_the_tolerance_at_every_output(path: Path) -> None:
    gaussian, x = problem(path)
    for tolerance in (1e-4, 1e-6, 1e-8):
        sampler, field = Dopri5(tolerance, tolerance), gaussian.field()
        times = sampler.times(50, path)
        states = list(sampler.trajectory(field, x, times, lambda step: x))
        errors = [
            (state - gaussian.solve(x, times[0], time)).abs().max()
            for state, time in zip(states, times[1:], strict=True)
        ]
        print(f"{name(path)} tolerance {tolerance:.0e}: error {max(errors):.1e}, {field.evaluations.tolist()}")
        assert len(states) == 50
        assert max(errors) < 30 * tolerance


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_agrees_with_torchdiffeq_item_by_item(path: Path) -> None:
    gaussian, x = problem(path)
    ours, theirs, times = Dopri5(1e-7, 1e-7), TorchDiffEq("dopri5", 1e-7, 1e-7), torch.linspace(0, 1, 51)
    field = gaussian.field()
    together = ours.sample(field, x, times)
    for item in range(len(x)):
        reference = gaussian.field()
        alone = theirs.sample(reference, x[item : item + 1], times)
        torch.testing.assert_close(together[item : item + 1], alone, rtol=0, atol=1e-6)
        counts = int(field.evaluations[item]), int(reference.evaluations[0])
        print(f"{name(path)} item {item}: {counts[0]} evaluations, torchdiffeq {counts[1]}")
        # their error estimate weighs the stages otherwise, so that they take up to a quarter fewer
        assert 0.7 < counts[0] / counts[1] < 1.4


def test_an_item_alone_is_the_item_among_others() -> None:
    """Items of very different stiffness: bits and evaluations stay."""
    path = RectifiedFlow()
    scale = torch.tensor([[0.01], [1.0], [3.0], [0.0]])

    def field(rows: list[int]) -> Field:
        stiffness = scale[rows]

        def predict(x: Tensor, time: Tensor) -> Tensor:
            return torch.cos(stiffness * x * 4) * stiffness - x * time[:, None]

        return Field(predict, path)

    x = torch.randn(4, 700, generator=torch.Generator().manual_seed(0))
    sampler, times = Dopri5(), torch.linspace(0, 1, 51)
    everyone = field([0, 1, 2, 3])
    together = sampler.sample(everyone, x, times)
    counts = everyone.evaluations.tolist()
    assert max(counts) > 2 * min(counts)
    for rows in ([0], [1], [2], [3], [2, 0], [3, 3, 1, 2, 0]):
        alone = field(rows)
        assert torch.equal(sampler.sample(alone, x[rows], times), together[rows])
        assert alone.evaluations.tolist() == [counts[row] for row in rows]


@pytest.mark.parametrize("sampler", [Dopri5(), TorchDiffEq("dopri5")], ids=["dopri5", "torchdiffeq"])
def test_does_not_chase_the_rounding_of_bfloat16(sampler: Sampler) -> None:
    """A tolerance of 1e-5 cannot be seen through bfloat16: steps would shrink until none is left."""
    path, times = RectifiedFlow(), torch.linspace(0, 1, 11)
    gaussian, x = problem(path)
    x = x[:1].float()

    def rounded(x: Tensor, time: Tensor) -> Tensor:
        return gaussian.predict(x.bfloat16().double(), time).bfloat16().to(x)

    exact = gaussian.solve(x.double(), times[0], times[-1])
    field = Field(rounded, path, torch.bfloat16)
    error = (sampler.sample(field, x, times) - exact).abs().max()
    blind = Field(rounded, path)
    sampler.sample(blind, x, times)
    counts = int(field.evaluations), int(blind.evaluations)
    print(f"{counts[0]} evaluations in place of {counts[1]}, error {error:.1e}")
    assert 3 * counts[0] < counts[1]
    assert error < 0.02


def test_the_field_of_a_request_knows_what_its_network_computes_in() -> None:
    class Seen(Sampler):
        def trajectory(self, field: Field, x: Tensor, times: Tensor, noise: Noise) -> Iterator[Tensor]:
            yield x + field.resolution

    def resolution(dtype: torch.dtype) -> float:
        model = small_model(RectifiedFlow())
        model.network.to(dtype)
        seen = model.sample(model.condition(told([1])), None, sampler=Seen(), steps=1, x0=torch.zeros(1, 32))
        return float(model.statistics.standardise(seen).mean())

    assert resolution(torch.bfloat16) == pytest.approx(2**-10, rel=1e-3)
    assert abs(resolution(torch.float32)) < 1e-6
    with torch.autocast("cpu", torch.bfloat16):
        assert resolution(torch.float32) == pytest.approx(2**-10, rel=1e-3)


def test_never_asks_after_the_last_time() -> None:
    path, asked = RectifiedFlow(), []
    gaussian, x = problem(path)

    def predict(x: Tensor, time: Tensor) -> Tensor:
        asked.append(float(time.max()))
        return gaussian.predict(x, time)

    for sampler in (Dopri5(), TorchDiffEq("dopri5"), TorchDiffEq("bosh3"), TorchDiffEq("dopri8")):
        asked.clear()
        sampler.sample(Field(predict, path), x[:1], torch.linspace(0, 1, 6))
        assert max(asked) <= 1.0


def test_what_cannot_be_solved_is_said() -> None:
    path, x, times = RectifiedFlow(), torch.ones(2, 3), torch.linspace(0, 1, 3)
    with pytest.raises(ValueError, match=r"more than 60 evaluations .* loosen rtol"):
        Dopri5(1e-9, 1e-9, max_evaluations=60).sample(Field(lambda x, time: torch.sin(200 * x), path), x, times)
    with pytest.raises(ValueError, match="not finite near time"):
        Dopri5().sample(Field(lambda x, time: x / 0, path), x, times)
    with pytest.raises(ValueError, match="rtol and atol"):
        Dopri5(0.0, 0.0)


@pytest.mark.parametrize("method", ["dopri8", "bosh3", "adaptive_heun", "fehlberg2", "implicit_adams", "heun3"])
def test_the_other_methods_of_torchdiffeq(method: str) -> None:
    path = CosinePath()
    gaussian, x = problem(path)
    times = torch.linspace(0, 1, 201, dtype=torch.float64)
    last = TorchDiffEq(method, 1e-6, 1e-6).sample(gaussian.field(), x[:1], times)
    torch.testing.assert_close(last, gaussian.solve(x[:1], times[0], times[-1]), rtol=0, atol=2e-4)
