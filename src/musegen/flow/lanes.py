"""Lanes: a network runs at one fixed number of items, however many are asked for.

The kernels that multiply matrices differ between widths, and so do an item's last bits. At a fixed width they depend on
the item, the weights, the dtype and the device, and not on who else is in the request: a longer request loops over
lanes, and empty places of the last one are filled with copies.

``lane: auto`` or a number trades that for speed. The result then depends on the width, by rounding alone: with a
network in float32 and a fixed grid by less than `TOLERANCE`, with an adaptive solver by less than its own tolerance.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch
from torch import Tensor

logger = logging.getLogger(__name__)

TOLERANCE = 1e-4
"""Largest difference between widths in float32, in units of the data's standard deviation."""

WIDEST = 64
"""Where ``auto`` stops looking."""

Lane = int | str | None
"""A number of items, ``"auto"`` for the fastest one, or None for the device's own."""


def default_width(device: torch.device, small: bool) -> int:
    """The width that makes results reproducible on a kind of device.

    Args:
        device: 1 on anything but a GPU.
        small: items of a few hundred numbers, which would leave a GPU idle: 16 there.
    """
    return 16 if small and device.type == "cuda" else 1


def check_lane(lane: Lane) -> None:
    """Refuse what is no lane.

    Raises:
        ValueError: for anything but None, ``"auto"`` or a number above 0.
    """
    if lane is None or lane == "auto" or (isinstance(lane, int) and not isinstance(lane, bool) and lane > 0):
        return
    raise ValueError(f"lane is auto, a number of items above 0, or nothing for the device's own, got {lane!r}")


def run_in_lanes(
    run: Callable[[Tensor], Tensor], items: int, width: int, narrowed: Callable[[int], object] | None = None
) -> Tensor:
    """Run items a lane at a time.

    Where memory does not suffice, all of it is begun again at half the width, with a warning: every item then has the
    bits of the narrower lane.

    Args:
        run: from the numbers of ``width`` items, int64 on the CPU, increasing but for the last one's copies at the end,
            to their results ``[width, ...]``.
        items: how many there are.
        width: items a lane.
        narrowed: told the new width, where memory did not suffice.

    Returns:
        The results of all items, ``[items, ...]``.
    """
    results: list[Tensor] = []
    done = 0
    while done < items:
        places = torch.arange(done, done + width).clamp(max=items - 1)
        try:
            results.append(run(places)[: items - done])
            done += width
            continue
        except torch.OutOfMemoryError:
            if width == 1:
                raise
        # outside of the handler, so that the failed run's tensors are gone
        width, done = width // 2, 0
        results.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning("out of memory: beginning again with lanes of %d items (last bits may differ)", width)
        if narrowed is not None:
            narrowed(width)
    return torch.cat(results)


def fastest_width(run: Callable[[int], object], items: int, device: torch.device, limit: int = WIDEST) -> int:
    """Try doubling widths once each and take the one that would finish the request first.

    Args:
        run: does a small, fixed piece of the work at a width.
        items: how many the request has.
        device: where it runs.
        limit: widest lane to try.
    """
    best, best_seconds, width = 1, float("inf"), 1
    while width <= limit:
        try:
            run(width)  # the first time compiles and allocates
            seconds = _time(lambda width=width: run(width), device) * -(-items // width)
        except torch.OutOfMemoryError:
            break
        if seconds < best_seconds:
            best, best_seconds = width, seconds
        if width >= items:
            break
        width *= 2
    logger.info("lane auto: %d items at once", best)
    return best


def _time(run: Callable[[], object], device: torch.device) -> float:
    _finish(device)
    start = time.perf_counter()
    run()
    _finish(device)
    return time.perf_counter() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
