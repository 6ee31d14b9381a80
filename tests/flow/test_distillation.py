"""Distillation on a problem whose field is known: the student's few steps land where the teacher's many do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gaussian_flow import problem
from musegen.flow.distillation import draw_pairs, targets, trajectory
from musegen.flow.field import Field
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.heun import Heun
from musegen.flow.samplers.jump import Jump

CENTRES = torch.tensor([[-1.5, -1.0], [1.5, -1.0], [0.0, 1.6]])
SPREAD, STEPS, FEW = 0.5, 32, (1, 2, 4)


def mixture(x: Tensor, time: Tensor) -> Tensor:
    """The exact velocity of a rectified flow to three Gaussians, at a time that all items share."""
    variance = time**2 * SPREAD**2 + (1 - time) ** 2
    away = x[:, None] - time * CENTRES
    shares = torch.softmax(-away.square().sum(2) / (2 * variance), dim=1)
    data, noise = CENTRES + time * SPREAD**2 / variance * away, (1 - time) / variance * away
    return (shares.unsqueeze(2) * (data - noise)).sum(1).to(x.dtype)


class Student(nn.Module):
    """Told the place, the time and the end of the step."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Linear(4, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(),
            nn.Linear(128, 2),
        )  # fmt: skip

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.layers(torch.cat((x, time.float().expand(len(x), 2)), dim=1))


def test_few_steps_land_where_many_do() -> None:
    path, times = RectifiedFlow(), torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    teacher, student = Field(mixture, path), Student()
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4096, 2, generator=generator)
    stops = trajectory(teacher, noise, Heun(), times)
    begin, end = draw_pairs(torch.arange(4096), STEPS, FEW, 12)
    shown, when, right = targets(path, stops, times, begin, end)
    optimizer = torch.optim.AdamW(student.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1500)
    for _ in range(1500):
        some = torch.randint(0, len(shown), (256,), generator=generator)
        loss = (student(shown[some], when[some]) - right[some]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()

    fresh = torch.randn(1024, 2, generator=generator)
    fine = Heun().sample(teacher, fresh, torch.linspace(0, 1, 201))

    def error(reached: Tensor) -> float:
        return float((reached - fine).square().sum(1).mean().sqrt())

    with torch.no_grad():
        for count in (1, 2, 4):
            grid = torch.linspace(0, 1, count + 1)
            plain = error(Euler().sample(teacher, fresh, grid))
            jumped = error(Jump().sample(Field(student, path), fresh, grid))
            print(f"{count} steps: student {jumped:.3f}, Euler {plain:.3f}")
            assert jumped < 0.5 * plain


@pytest.mark.parametrize("path", [RectifiedFlow(), CosinePath()])
def test_a_target_leads_from_stop_to_stop(path: Path) -> None:
    gaussian, noise = problem(path)
    times = torch.linspace(0, 1, 9, dtype=torch.float64)
    stops = torch.stack([gaussian.solve(noise, times[0], time) for time in times])
    begin, end = draw_pairs(torch.tensor([3, 4, 5]), 8, (1, 2, 4), 20)
    x, when, right = targets(path, stops, times, begin, end)
    reached = path.follow(right, x, when[:, 0], when[:, 1])
    expected = stops[end, torch.arange(3).expand_as(end)].flatten(0, 1)
    assert torch.allclose(reached, expected, atol=1e-5)


def test_pairs_are_steps_of_few_and_of_any_number() -> None:
    begin, end = draw_pairs(torch.arange(2000), 24, (1, 2, 4), 4)
    assert begin.min() == 0
    assert end.max() == 24
    assert bool((begin < end).all())
    whole = ((begin == 0) & (end == 24)).float().mean()
    assert whole == pytest.approx(1 / 6, abs=0.02)
    assert len(torch.unique(end - begin)) == 24
    again = draw_pairs(torch.arange(10, 20), 24, (1, 2, 4), 4)
    assert torch.equal(again[0], begin[:, 10:20])


def test_only_what_leads_to_one_place_is_distilled() -> None:
    gaussian, noise = problem(RectifiedFlow())
    with pytest.raises(ValueError, match="deterministic"):
        trajectory(gaussian.field(), noise, DPMPP3MSDE(), torch.linspace(0, 1, 5))
