"""A training step's forward and backward pass as one CUDA graph, inside automatic optimization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from musegen.flow.execution.recording import signature

Losses = Callable[..., Tensor]
"""From a batch's tensors to ``[terms]``: what is minimised first, then what is only told."""


def obstacle_to_graphs(module: L.LightningModule) -> str:
    """What forbids to graph a module's training steps; empty if nothing."""
    if module.device.type != "cuda":
        return f"there are no CUDA graphs on {module.device.type}"
    return "" if module.trainer.world_size == 1 else "DDP has to see the backward pass"


class GraphedLosses:
    """Computes losses and their gradients by replaying one recording, so that the host has nothing to launch.

    A small network spends most of a step waiting for the host to launch the next of thousands of kernels; one graph
    launches all of them at once. To the Trainer nothing changes: the result is a loss with a backward pass, in which
    the gradients, already there, are added to the parameters'. Accumulated batches, loss scaling and clipping therefore
    work as ever. What does not work is whatever listens to the backward pass itself, such as DDP.

    A graph keeps the shapes and types that it was recorded with, and needs kernels that depend on no number that the
    host knows: whatever changes from step to step comes in as a tensor. It is recorded at the first batch of a kind;
    batches of another shape, such as a last incomplete one, are computed as written.

    Source: "CUDA Programming Guide: CUDA Graphs", https://docs.nvidia.com/cuda/cuda-programming-guide/.

    Args:
        parameters: what has gradients; they stay where they are.
        warm_up: runs before the recording, for what allocates or chooses kernels at its first calls.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], warm_up: int = 3) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        self.warm_up = warm_up
        self.recordings: dict[str, _Recording] = {}
        self.anchor = torch.zeros((), requires_grad=True)

    def __call__(self, kind: str, losses: Losses, *inputs: Tensor) -> Tensor:
        """Losses ``[terms]`` of a batch; the first has the backward pass.

        Args:
            kind: names the recording: calls of one kind must launch the same kernels.
            losses: what is recorded when a kind is met first.
            inputs: the batch.
        """
        recording = self.recordings.get(kind)
        if recording is None:
            recording = self.recordings[kind] = _Recording(losses, self.parameters, inputs, self.warm_up)
        elif recording.signature != signature(inputs):
            return losses(*inputs)
        recording.replay(inputs)
        told = recording.values.clone()
        first = _Replayed.apply(self.anchor, told[0], self.parameters, recording.gradients)
        return torch.cat([first.unsqueeze(0), told[1:]])  # type: ignore[union-attr]


class _Recording:
    """Losses and gradients on fixed memory: a CUDA graph, or the same computation again where there is no GPU."""

    def __init__(
        self, losses: Losses, parameters: Sequence[nn.Parameter], inputs: Sequence[Tensor], warm_up: int
    ) -> None:
        self.losses = losses
        self.parameters = parameters
        self.signature = signature(tuple(inputs))
        self.buffers = [tensor.detach().clone() for tensor in inputs]
        self.graph: torch.cuda.CUDAGraph | None = None
        device = parameters[0].device
        if device.type != "cuda":
            self.values, self.gradients = self._compute()
            return
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(warm_up):
                self._compute()
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda.synchronize(device)
        self.graph = torch.cuda.CUDAGraph()
        # of this thread only: another one may be pinning the memory of the next batches
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.values, self.gradients = self._compute()

    def replay(self, inputs: Sequence[Tensor]) -> None:
        """Compute on another batch; the last one's results are overwritten."""
        for buffer, tensor in zip(self.buffers, inputs, strict=True):
            buffer.copy_(tensor, non_blocking=True)
        if self.graph is not None:
            self.graph.replay()
        else:
            self.values, self.gradients = self._compute()

    def _compute(self) -> tuple[Tensor, list[Tensor | None]]:
        """What is recorded; autocast must not keep casts of weights, which a replay would then not make again."""
        kind = self.parameters[0].device.type
        mixed, dtype = torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)
        with torch.enable_grad(), torch.autocast(kind, dtype, enabled=mixed, cache_enabled=False):
            values = self.losses(*self.buffers)
        with torch.autocast(kind, enabled=False):
            gradients = torch.autograd.grad(values[0], self.parameters, allow_unused=True)
        return values.detach(), list(gradients)


class _Replayed(torch.autograd.Function):
    """A loss whose backward pass hands out gradients that are known already."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, loss: Tensor, parameters: list[nn.Parameter], gradients: Any) -> Tensor:
        ctx.parameters, ctx.gradients = parameters, gradients
        return loss.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *scale: Tensor) -> tuple[None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        known = [(p, g) for p, g in zip(ctx.parameters, ctx.gradients, strict=True) if g is not None]
        scaled = torch._foreach_mul([gradient for _, gradient in known], scale[0])
        summed = [(p.grad, g) for (p, _), g in zip(known, scaled, strict=True) if p.grad is not None]
        for (parameter, _), gradient in zip(known, scaled, strict=True):
            if parameter.grad is None:
                parameter.grad = gradient
        if summed:
            torch._foreach_add_([before for before, _ in summed], [more for _, more in summed])
        return (None,) * 4
