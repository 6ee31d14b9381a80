"""Long signals through convolutions in windows of one size, with the result of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn


def needed_inputs(convolutions: Iterable[nn.Module], first: int, last: int) -> tuple[int, int]:
    """Which inputs the outputs ``first`` to ``last`` of a chain of 1-d convolutions read; both ends are included.

    Args:
        convolutions: the chain, in the order of execution.
        first: index of an output.
        last: index of an output, not before ``first``.

    Returns:
        Indices of the first and the last input; an index before 0 means the chain's zero padding.
    """
    for convolution in reversed(list(convolutions)):
        assert isinstance(convolution, nn.Conv1d | nn.ConvTranspose1d)
        (kernel,), (stride,), (dilation,) = convolution.kernel_size, convolution.stride, convolution.dilation
        padding = int(convolution.padding[0])
        reach = dilation * (kernel - 1)
        if isinstance(convolution, nn.ConvTranspose1d):
            first, last = -((reach - first - padding) // stride), (last + padding) // stride
        else:
            first, last = first * stride - padding, last * stride - padding + reach
    return first, last


@dataclass(frozen=True)
class Window:
    """One piece of a signal of frames.

    Args:
        start: its first frame.
        stop: the frame after its last.
        first: the first frame that is kept of it.
        last: the frame after the last one kept.
    """

    start: int
    stop: int
    first: int
    last: int


def windows(frames: int, chunk: int, context: int) -> Iterator[Window]:
    """Cut frames into windows of ``chunk + 2 · context`` frames that keep about ``chunk`` each.

    The first window begins and the last one ends with the signal, so that its edges are padded as they are in the whole
    signal; everywhere else a kept frame has ``context`` frames beside it. Every window has the same size; a signal that
    is no longer than one window is one window of its own length.

    Raises:
        ValueError: if ``chunk`` is not positive.
    """
    if chunk < 1:
        raise ValueError(f"expected a chunk of 1 or more frames, got {chunk}")
    size = chunk + 2 * context
    if frames <= size:
        yield Window(0, frames, 0, frames)
        return
    kept = 0
    while kept < frames:
        start = min(max(kept - context, 0), frames - size)
        stop = start + size
        last = frames if stop == frames else stop - context
        yield Window(start, stop, kept, last)
        kept = last
