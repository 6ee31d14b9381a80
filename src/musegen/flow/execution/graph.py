"""CUDA graphs."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from musegen.flow.execution.base import Evaluate, Execution, Step
from musegen.flow.execution.recording import Recording, signature
from musegen.models.base import FlowNetwork

logger = logging.getLogger(__name__)

X, TIMES, PREPARED = range(3)  # places of an evaluation's arguments


class Graph(Execution):
    """Record an evaluation once, and replay it as one CUDA graph.

    A small network at a small batch spends most of its time waiting for the host to launch the next kernel; a graph
    launches all of them at once. The kernels, and so the bits, are those of `Eager`. A recording is made for each shape
    when it is first met, and kept; nothing is recorded where there is no CUDA GPU.

    Source: "CUDA Programming Guide: CUDA Graphs", https://docs.nvidia.com/cuda/cuda-programming-guide/.

    Args:
        skip_null: see `Execution`.
        keep: how many recordings to keep; the oldest is dropped.
    """

    def __init__(self, skip_null: bool = True, keep: int = 8) -> None:
        super().__init__(skip_null)
        if keep < 1:
            raise ValueError(f"Graph: keep is 1 or more, got {keep}")
        self.keep = keep
        self.recordings: dict[tuple[Any, ...], Recording] = {}
        self.recorded = True
        self.pool: Any = None
        self._told: dict[tuple[Any, ...], object] = {}

    def prepare(self, network: FlowNetwork) -> None:
        """See whether there is a GPU."""
        device = next(network.parameters()).device
        self.recorded = device.type == "cuda"
        if not self.recorded:
            logger.info("no CUDA graphs on %s: running as written", device.type)
        self.recordings.clear()

    def begin(self, evaluate: Evaluate, prepared: Any, kind: str) -> Step:
        """Evaluate by replaying, from the second time on that a shape is met."""
        if not self.recorded:
            return lambda x, times: evaluate(x, times, prepared)
        owner = object()

        def step(x: Tensor, times: Tensor) -> Tensor:
            key = (kind, signature((x, times, prepared)))
            recording = self.recordings.get(key)
            if recording is None:
                recording = self._record(key, evaluate, (x, times, prepared))
            else:
                recording.write(X, x)
                recording.write(TIMES, times)
                if self._told.get(key) is not owner:
                    recording.write(PREPARED, prepared)
            self._told[key] = owner
            return recording.replay().clone()

        return step

    def _record(self, key: tuple[Any, ...], evaluate: Evaluate, arguments: tuple[Any, ...]) -> Recording:
        while len(self.recordings) >= self.keep:
            oldest = next(iter(self.recordings))
            del self.recordings[oldest]
            self._told.pop(oldest, None)
        if self.pool is None and arguments[X].device.type == "cuda":
            self.pool = torch.cuda.graph_pool_handle()
        self.recordings[key] = Recording(evaluate, arguments, self.pool)
        return self.recordings[key]
