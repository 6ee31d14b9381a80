"""Grids: their ends, their spacing in the variable they are even in, and starts after the beginning."""

from __future__ import annotations

import pytest
import torch

from musegen.flow.grids import EvenLogSNR, EvenTimes, Grid, Polyexponential
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.times import shift_times

PATHS = [RectifiedFlow(), CosinePath()]
GRIDS = [EvenTimes(), EvenTimes(3.0), EvenLogSNR(), Polyexponential(), Polyexponential(0.01, 100.0, 2.0)]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: type(grid).__name__)
@pytest.mark.parametrize("start", [0.0, 0.001, 0.3, 0.97, 0.999])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_any_start_and_number_of_steps(path: Path, grid: Grid, start: float, steps: int) -> None:
    times = grid.times(steps, path, start)
    assert times.shape == (steps + 1,)
    assert times.dtype == torch.float64
    assert bool((times.diff() > 0).all())
    assert float(times[-1]) == 1.0
    highest = float(path.time_at(torch.tensor(getattr(grid, "sigma_max", torch.inf), dtype=torch.float64)))
    assert float(times[0]) == pytest.approx(max(start, highest), abs=1e-12)


def test_shifted_steps_are_the_tail_of_the_whole() -> None:
    path, whole = RectifiedFlow(), EvenTimes(3.0).times(10, RectifiedFlow())
    torch.testing.assert_close(whole, shift_times(torch.linspace(0, 1, 11, dtype=torch.float64), 3.0))
    torch.testing.assert_close(EvenTimes(3.0).times(6, path, float(whole[4])), whole[4:])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: type(path).__name__)
def test_polyexponential_is_even_in_the_logarithm(path: Path) -> None:
    levels = path.noise_level(Polyexponential().times(100, path))
    assert (len(levels), float(levels[-1])) == (101, 0.0)
    torch.testing.assert_close(levels[[0, -2]], torch.tensor([500.0, 0.3], dtype=torch.float64))
    widths = levels[:-1].log().diff()
    torch.testing.assert_close(widths, widths.mean().expand_as(widths))


@pytest.mark.parametrize(("steps", "start"), [(0, 0.0), (5, 1.0), (5, -0.1)])
def test_impossible_requests(steps: int, start: float) -> None:
    with pytest.raises(ValueError, match="at least"):
        EvenTimes().times(steps, RectifiedFlow(), start)


@pytest.mark.parametrize(
    "build", [lambda: EvenTimes(0.0), lambda: EvenLogSNR(2.0, 2.0), lambda: Polyexponential(3.0, 1.0)]
)
def test_impossible_settings(build: object) -> None:
    with pytest.raises(ValueError, match="got"):
        build()  # type: ignore[operator]
