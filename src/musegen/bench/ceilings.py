"""What the device itself can do, measured beside what is built on it."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from musegen.bench.timing import time_runs


@dataclass(frozen=True)
class Ceilings:
    """The rates that nothing runs above.

    Args:
        matmul: floating-point operations a second of a large matrix product, by dtype (``float32``, ``bfloat16`` …).
        copy: bytes a second of a large copy, read and written bytes together.
    """

    matmul: dict[str, float]
    copy: float

    def floor(self, flops: float, moved: float, precision: str) -> float:
        """Seconds that so many operations, and so many bytes, take at least."""
        rate = self.matmul.get(precision) or max(self.matmul.values())
        return max(flops / rate, moved / self.copy)


def measure_ceilings(device: torch.device, runs: int = 10) -> Ceilings:
    """Measure on random data, in buffers far larger than caches."""
    large = device.type == "cuda"
    size, words = (8192, 1 << 30) if large else (512, 1 << 24)
    dtypes = [torch.float32, *((torch.bfloat16, torch.float16) if large else ())]
    matmul = {}
    for dtype in dtypes:
        first, second = torch.randn(2, size, size, device=device).to(dtype)
        out = torch.empty_like(first)
        seconds = _best(lambda first=first, second=second, out=out: torch.mm(first, second, out=out), device, runs)
        matmul[str(dtype).removeprefix("torch.")] = 2 * size**3 / seconds
    if large and torch.cuda.get_device_capability(device) >= (8, 9):
        matmul["float8"] = 2 * size**3 / _best(_float8(size, device), device, runs)
    source = torch.randint(0, 255, (words,), dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy = 2 * words / _best(lambda: target.copy_(source), device, runs)
    return Ceilings(matmul, copy)


def _float8(size: int, device: torch.device) -> Callable[[], object]:
    """A matrix product of 8-bit floats with one scale a row, as `musegen.nn.float8` computes it."""
    first, second = torch.randn(2, size, size, device=device).to(torch.float8_e4m3fn)
    ones = torch.ones(size, 1, device=device)
    return lambda: torch._scaled_mm(
        first, second.t(), scale_a=ones, scale_b=ones.t(), out_dtype=torch.bfloat16, use_fast_accum=True
    )


def _best(run: Callable[[], object], device: torch.device, runs: int) -> float:
    """Median seconds of one of several in a row, so that what it costs to launch one is not counted."""
    several = 5 if device.type == "cuda" else 1

    def batch() -> None:
        for _ in range(several):
            run()

    return statistics.median(time_runs(batch, device, runs).seconds) / several
