"""One of the two flow models inside a pipeline: on its device, with what identifies it and how it is sampled."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from musegen.conditioning.base import Embedder, TextEncoder
from musegen.fingerprint import hash_data, hash_weights
from musegen.flow.execution.choice import AUTO, COMPILING_PAYS, ExecutionChoice, prepare_execution
from musegen.flow.execution.compiled import Compiled
from musegen.flow.lanes import Lane, check_lane, default_width
from musegen.flow.model import FlowModel
from musegen.flow.settings import SamplingSettings
from musegen.models.base import Condition

Module = TypeVar("Module", bound=nn.Module)

ALIGNMENT = 64
"""Bytes; torch allocates by multiples of it."""


class PipelineStage:
    """A flow model ready to be sampled.

    Args:
        model: the flow model; it is moved, and its network cast, in place.
        defaults: how it is sampled unless a user chooses otherwise.
        device: where it computes.
        dtype: what its network computes in; conditions and samples stay float32.
        lane: items in one execution of the network, ``auto``, or None for the device's own width.
        execution: how the network's evaluations are run; see `prepare_execution`.
        trust: packages besides musegen whose executions may be built.
    """

    def __init__(
        self,
        model: FlowModel,
        defaults: SamplingSettings,
        device: torch.device,
        dtype: torch.dtype,
        lane: Lane,
        execution: ExecutionChoice = AUTO,
        trust: Sequence[str] = (),
    ) -> None:
        check_lane(lane)
        self.defaults, self.lane, self.device = defaults, lane, device
        self._narrowed: int | None = None  # a lane that memory suffices for, where it did not for the one asked for
        encoders = frozen_encoders(model)
        self.licences = sorted({encoder.licence for encoder in encoders})
        self.identity: dict[str, Any] = {
            "weights": hash_weights(model),
            "recipe": hash_data(model.config),
            "encoders": sorted({encoder.revision for encoder in encoders}),
            "dtype": str(dtype).removeprefix("torch."),
        }
        self.model = ready(model, device)
        self.model.network.to(dtype)
        self.chosen = execution
        self.prepared = prepare_execution(execution, self.model.network, trust=trust)

    @property
    def width(self) -> int | str:
        """Items in one execution, or ``auto``: a part of the fingerprint."""
        own = default_width(self.device, small=len(self.model.network.shape) == 1)
        return self._narrowed or (own if self.lane is None else self.lane)

    def condition(self, batch: Mapping[str, Any]) -> Condition:
        """What one item is told: a batch of one.

        Conditions are made one at a time, so that no kernel sees how many there are.
        """
        moved = {name: part.to(self.device) if isinstance(part, Tensor) else part for name, part in batch.items()}
        return self.model.condition(moved)

    def sample(
        self,
        conditions: Sequence[Condition],
        seeds: Sequence[int],
        settings: SamplingSettings,
        *,
        unconditional: Condition | None = None,
        shape: Sequence[int] | None = None,
        start: Tensor | None = None,
        start_time: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Sample one item for each condition of one item; see `FlowModel.sample`.

        Args:
            conditions: of one item each.
            seeds: one for each item.
            settings: how to sample.
            unconditional: what guidance moves away from, of one item; by default the network's null.
            shape: of one item; by default as it was trained.
            start: data to start from, ``[1, *shape]``; None for noise alone.
            start_time: how much of it stays.
            progress: told how much is done.

        Returns:
            ``[items, *shape]``, float32, on the CPU.
        """
        self._compile_for(len(conditions) * settings.steps)
        sampled = self.model.sample(
            Condition.concatenate(conditions),
            list(seeds),
            sampler=settings.sampler,
            steps=settings.steps,
            guidance=settings.guidance,
            unconditional=unconditional,
            lane=self._narrowed or self.lane,
            shape=None if shape is None else tuple(shape),
            start=start,
            start_time=start_time,
            progress=progress,
            execution=self.prepared.execution,
            narrowed=self._narrow,
        )
        return sampled.float().cpu()

    def fingerprint(self, settings: SamplingSettings) -> dict[str, Any]:
        """What this stage's results depend on, besides the machine and the request."""
        execution = self.prepared.arithmetic
        return {**self.identity, "lane": self.width, "execution": execution, **settings.recipe()}

    def _narrow(self, width: int) -> None:
        """Keep to a width for good, so that the fingerprint says it; ``auto`` promises no bits and looks again."""
        if self.lane != AUTO:
            self._narrowed = width

    def _compile_for(self, steps: int) -> None:
        """Compile for so much work, where both that and the width of a lane are left to us.

        At any other lane an item's bits are the same whatever else is asked for, and so is its execution.
        """
        work = float(steps) * sum(parameter.numel() for parameter in self.model.network.parameters())
        open_to_us = self.chosen == AUTO and self.lane == AUTO and self.device.type == "cuda"
        if open_to_us and work >= COMPILING_PAYS and not isinstance(self.prepared.execution, Compiled):
            self.prepared = prepare_execution(AUTO, self.model.network, work)


def ready(module: Module, device: torch.device) -> Module:
    """Move a module for inference, in place, with every tensor where a fresh one would lie in memory.

    Tensors that are read from a file begin anywhere; kernels choose by alignment how they add up, and so the same
    weights would give other last bits than those that were just trained.
    """
    module.eval().requires_grad_(False).to(device)
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()
    return module


def frozen_encoders(model: FlowModel) -> list[TextEncoder | Embedder]:
    """The pretrained encoders behind a model's conditioners, whose weights are in no checkpoint."""
    found = (getattr(module, "encoder", None) for module in model.conditioning.modules())
    return [encoder for encoder in found if isinstance(encoder, TextEncoder | Embedder)]
