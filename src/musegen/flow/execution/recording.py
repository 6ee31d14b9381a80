"""A function's kernels recorded once and replayed: on fixed memory, so that the host has nothing to do but say go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree


class Recording:
    """A function of tensors that reads from buffers of its own and writes to one of its own.

    On a CUDA GPU it is a CUDA graph. Elsewhere the function itself runs again on the same buffers, which is no quicker
    than to call it, and there to be tested.

    Args:
        function: from tensors ``arguments`` (in tuples) to a tensor; every call must launch the same kernels.
        arguments: examples; they are copied.
        pool: memory that recordings share, which never run at the same time; None for memory of its own.
        warm_up: calls before the recording, for what allocates or chooses kernels at its first calls.
    """

    def __init__(
        self, function: Callable[..., Tensor], arguments: tuple[Any, ...], pool: Any, warm_up: int = 2
    ) -> None:
        # normal tensors, which may be written to with and without inference mode
        with torch.inference_mode(False), torch.no_grad():
            self.buffers = pytree.tree_map_only(
                Tensor, lambda tensor: torch.empty_like(tensor).copy_(tensor), arguments
            )
            self.function = function
            self.graph: torch.cuda.CUDAGraph | None = None
            device = next(leaf.device for leaf in pytree.tree_leaves(self.buffers) if isinstance(leaf, Tensor))
            if device.type != "cuda":
                self.output = function(*self.buffers)
                return
            with torch.cuda.device(device):  # captures happen on the current one
                self._capture(device, pool, warm_up)

    def _capture(self, device: torch.device, pool: Any, warm_up: int) -> None:
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(warm_up):
                self.function(*self.buffers)
        torch.cuda.current_stream(device).wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        # of this thread alone: another one may be decoding meanwhile
        with torch.cuda.graph(self.graph, pool=pool, capture_error_mode="thread_local"):
            self.output = self.function(*self.buffers)

    def write(self, place: int, value: Any) -> None:
        """Copy an argument, or a tuple of tensors, to its place."""
        for buffer, tensor in zip(pytree.tree_leaves(self.buffers[place]), pytree.tree_leaves(value), strict=True):
            if isinstance(buffer, Tensor):
                buffer.copy_(tensor, non_blocking=True)

    def replay(self) -> Tensor:
        """Run on what was written; the result is overwritten by the next run."""
        if self.graph is not None:
            self.graph.replay()
        else:
            with torch.no_grad():
                self.output.copy_(self.function(*self.buffers))
        return self.output


def signature(arguments: Any) -> tuple[Any, ...]:
    """What two calls must have in common to share a recording: structure, shapes, types, devices."""
    leaves, structure = pytree.tree_flatten(arguments)
    described = ((tuple(leaf.shape), leaf.dtype, leaf.device) if isinstance(leaf, Tensor) else leaf for leaf in leaves)
    return (str(structure), *described)
