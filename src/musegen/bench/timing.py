"""How long something takes, and how much memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Timing:
    """What several runs took.

    Args:
        first: seconds of the very first run, which compiles, records and allocates.
        seconds: of each run after the warm-up.
        memory: most bytes that tensors held at once on a CUDA GPU in those runs; None elsewhere.
    """

    first: float
    seconds: tuple[float, ...]
    memory: int | None

    @property
    def median(self) -> float:
        """Seconds of the run in the middle."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """From the fastest to the slowest run, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def time_runs(
    run: Callable[[], object], device: torch.device, runs: int = 5, warm_up: int = 1, limit: float = 30.0
) -> Timing:
    """Time a function that leaves work on a device.

    Args:
        run: what is timed.
        device: where it works; it is waited for.
        runs: how many are counted.
        warm_up: runs between the first one and those that count.
        limit: seconds after which no further run begins, if there is one at all.
    """
    first = _once(run, device)
    began = time.perf_counter()
    for _ in range(warm_up):
        if time.perf_counter() - began + first < limit / 2:
            _once(run, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    seconds: list[float] = []
    while len(seconds) < runs and (not seconds or time.perf_counter() - began + seconds[-1] < limit):
        seconds.append(_once(run, device))
    memory = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Timing(first, tuple(seconds), memory)


def wait(device: torch.device) -> None:
    """Return when a device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _once(run: Callable[[], object], device: torch.device) -> float:
    wait(device)
    start = time.perf_counter()
    run()
    wait(device)
    return time.perf_counter() - start
