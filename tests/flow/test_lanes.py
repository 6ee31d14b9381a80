"""Lanes: an item's bits are its own; a change of width changes little; memory that does not suffice is said."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path as Folder

import pytest
import torch
from torch import Tensor

from musegen.flow.lanes import TOLERANCE, check_lane, default_width, fastest_width, run_in_lanes
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.base import Sampler
from musegen.flow.samplers.dopri5 import Dopri5
from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.pingpong import PingPong
from musegen.flow.samplers.torchdiffeq import TorchDiffEq
from small_flow import digest, sample

SAMPLERS = [Euler(), Dopri5(1e-3, 1e-3), TorchDiffEq("bosh3", 1e-2, 1e-2), DPMPP3MSDE(), PingPong()]
CPU = torch.device("cpu")
SEEDS = list(range(100, 116))


def name(sampler: Sampler) -> str:
    return type(sampler).__name__


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_an_item_has_the_same_bits_in_any_company(sampler: Sampler) -> None:
    path = CosinePath()
    together = sample(path, sampler, SEEDS)
    assert together.shape == (16, 32)
    assert float(together.std()) > 0.1
    assert len({digest(item) for item in together}) == 16
    order = [5, 0, 15, 5, 9]
    assert torch.equal(sample(path, sampler, [SEEDS[item] for item in order]), together[order])
    for item in (0, 7, 15):
        assert torch.equal(sample(path, sampler, [SEEDS[item]])[0], together[item])


def test_another_process_gives_the_same_bits() -> None:
    """Also of a stochastic sampler, and of one that adapts."""
    program = (
        "import torch; torch.set_num_threads(1)\n"
        "from small_flow import *\n"
        "from musegen.flow.paths.rectified import RectifiedFlow\n"
        "from musegen.flow.samplers.dopri5 import Dopri5\n"
        "from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE\n"
        "for sampler in (Dopri5(1e-3, 1e-3), DPMPP3MSDE()):\n"
        "    print(digest(sample(RectifiedFlow(), sampler, [3, 1, 2])[1]))\n"
    )
    tests = Folder(__file__).parents[1]
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tests)
    here = [digest(sample(RectifiedFlow(), sampler, [1])[0]) for sampler in (Dopri5(1e-3, 1e-3), DPMPP3MSDE())]
    assert other.stdout.split() == here, other.stderr


@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
@pytest.mark.parametrize("lane", [5, "auto"])
def test_other_widths_stay_within_the_tolerance(sampler: Sampler, lane: int | str) -> None:
    path = RectifiedFlow()
    spread = torch.linspace(0.5, 2, 32)
    seeds = SEEDS[:7]
    difference = (sample(path, sampler, seeds, lane=lane) - sample(path, sampler, seeds)) / spread
    print(f"{name(sampler)} lane {lane}: largest difference {float(difference.abs().max()):.1e}")
    # the adaptive ones here have tolerances of 1e-3 and 1e-2
    limit = 1e-3 if isinstance(sampler, Dopri5 | TorchDiffEq) else TOLERANCE
    assert float(difference.abs().max()) < limit


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=name)
def test_an_item_has_the_same_bits_in_any_company_on_a_gpu(sampler: Sampler, dtype: torch.dtype) -> None:
    """In lanes of 16, wherever in its lane the item is and whoever sits beside it."""
    seeds, path = list(range(40)), CosinePath()
    together = sample(path, sampler, seeds, device="cuda", dtype=dtype)
    assert float(together.std()) > 0.1
    order = [39, 5, 0, 15, 5]
    picked = sample(path, sampler, order, device="cuda", dtype=dtype)
    assert torch.equal(picked, together[order])
    assert torch.equal(sample(path, sampler, [7], device="cuda", dtype=dtype)[0], together[7])


def test_every_lane_is_full_and_every_item_comes_once() -> None:
    lanes: list[list[int]] = []

    def run(places: Tensor) -> Tensor:
        lanes.append(places.tolist())
        return places.float() * 10

    assert run_in_lanes(run, 6, 4).tolist() == [0, 10, 20, 30, 40, 50]
    assert lanes == [[0, 1, 2, 3], [4, 5, 5, 5]]
    assert run_in_lanes(run, 1, 4).tolist() == [0]


def test_too_little_memory_halves_the_lane_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    lanes: list[int] = []
    told: list[int] = []

    def run(places: Tensor) -> Tensor:
        lanes.append(len(places))
        if len(places) > 2:
            raise torch.OutOfMemoryError("no room")
        return places

    with caplog.at_level(logging.WARNING):
        assert run_in_lanes(run, 5, 8, told.append).tolist() == [0, 1, 2, 3, 4]
    assert lanes == [8, 4, 2, 2, 2]
    assert told == [4, 2]
    assert "out of memory: beginning again with lanes of 2 items" in caplog.text

    def never(places: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(torch.OutOfMemoryError):
        run_in_lanes(never, 2, 2)


def test_every_item_has_the_width_that_memory_sufficed_for() -> None:
    """Though memory ran out only in the second lane."""
    lanes: list[int] = []

    def run(places: Tensor) -> Tensor:
        lanes.append(len(places))
        if len(lanes) == 2:
            raise torch.OutOfMemoryError("no room")
        return torch.full_like(places, len(places))

    assert run_in_lanes(run, 6, 4).tolist() == [2] * 6


def test_auto_takes_what_finishes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1000))
    seconds = {1: 1.0, 2: 1.1, 4: 1.5, 8: 4.0}
    monkeypatch.setattr("musegen.flow.lanes._time", lambda run, device: (run(), seconds[last[-1]], next(clock))[1])
    last: list[int] = []
    assert fastest_width(last.append, 100, CPU, limit=8) == 4
    assert fastest_width(last.append, 1, CPU, limit=8) == 1

    def run(width: int) -> None:
        last.append(width)
        if width > 2:
            raise torch.OutOfMemoryError("no room")

    assert fastest_width(run, 100, CPU, limit=8) == 2


def test_widths_of_devices_and_what_is_no_lane() -> None:
    cuda = torch.device("cuda", 0)
    assert [default_width(CPU, True), default_width(CPU, False)] == [1, 1]
    assert [default_width(cuda, True), default_width(cuda, False)] == [16, 1]
    for lane in (None, "auto", 1, 64):
        check_lane(lane)
    for lane in (0, -1, "fast", True, 1.5):
        with pytest.raises(ValueError, match="lane is auto"):
            check_lane(lane)  # type: ignore[arg-type]
