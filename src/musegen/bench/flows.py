"""Sampling of one stage, measured: what the benches of stage 1 and stage 2 share."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from musegen.bench.networks import build, condition, evaluation_cost, flow_network
from musegen.bench.report import Report, Row, relative_error
from musegen.bench.timing import Timing, time_runs
from musegen.flow.execution.base import Execution
from musegen.flow.execution.eager import Eager
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.guided import GuidedPrediction
from musegen.flow.paths.base import Path
from musegen.flow.samplers.base import Sampler
from musegen.flow.sampling import Request
from musegen.models.base import FlowNetwork
from musegen.nn.feedforward import MLP, SwiGLU
from musegen.nn.float8 import use_float8
from musegen.plugins import choose

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float8": 1, "float8-ff": 1.3}
EXECUTIONS = "musegen.flow.execution"
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
REFERENCE_TIME = 0.4
"""Where on the path single evaluations are compared."""


@dataclass(frozen=True)
class Counted(Request):
    """A request that counts how often it asks its network."""

    counts: tuple[list[int], ...] = ([0],)

    def _predict(self, places: Tensor) -> Any:
        inner = super()._predict(places)

        def predict(x: Tensor, time: Tensor) -> Tensor:
            self.counts[0][0] += 1
            return inner(x, time)

        return predict


@dataclass(frozen=True)
class Setup:
    """One stage as it is measured.

    Args:
        sizes: of its network; see `musegen.bench.networks`.
        size: one of them.
        tokens: of the condition.
        path: between noise and data.
        sampler: the method.
        steps: of its grid.
        device: where.
        scale: of guidance.
    """

    sizes: dict[str, dict[str, Any]]
    size: str
    tokens: int
    path: Path
    sampler: Sampler
    steps: int
    device: torch.device
    scale: float = 3.0

    def network(self, precision: str) -> FlowNetwork:
        """The network with the same random weights in any precision."""
        network: FlowNetwork = build(lambda: flow_network(self.sizes, self.size), self.device)
        if precision == "float8":
            return use_float8(network.to(torch.bfloat16))
        if precision == "float8-ff":
            return use_float8(use_float8(network.to(torch.bfloat16), within=SwiGLU), within=MLP)
        return network.to(getattr(torch, precision))

    def request(self, network: FlowNetwork, execution: Execution | None, items: int) -> Counted:
        """Ask for items with the seeds 0, 1, 2 …, each told something else."""
        return Counted(
            network=network,
            path=self.path,
            condition=condition(network, items, self.tokens, self.device),
            unconditional=None,
            guidance=ClassifierFree(self.scale),
            sampler=self.sampler,
            times=self.sampler.times(self.steps, self.path),
            seeds=list(range(items)),
            origin=torch.zeros(1, *network.shape, device=self.device),
            execution=execution,
            counts=([0],),
        )

    def evaluate(self, request: Request, items: int = 1) -> tuple[Tensor, Tensor]:
        """One guided evaluation of the first item at fixed noise, on the CPU.

        Returns:
            The network's two answers, ``[2, *shape]``, and what guidance makes of them, ``[1, *shape]``.
        """
        places = torch.arange(items).clamp(max=len(request.condition) - 1)
        predict = GuidedPrediction(
            request.network,
            self.path,
            request.condition[places],
            None,
            ClassifierFree(self.scale),
            request.execution,
        )
        x = torch.randn(1, *request.network.shape, generator=torch.Generator().manual_seed(5)).to(self.device)
        x, time = x.expand(items, *x.shape[1:]).contiguous(), torch.tensor(REFERENCE_TIME)
        with torch.inference_mode():
            both = predict._predict(x, time, guided=True).float().cpu()[[0, items]]
            return both, predict(x, time)[:1].float().cpu()


@dataclass
class Reference:
    """What the plain path in float32 makes of the first item; measured once, others are compared with it."""

    evaluation: tuple[Tensor, Tensor]
    end: Tensor | None


def measure_reference(setup: Setup, trajectory: bool = True) -> Reference:
    """Run the first item as written, in float32."""
    network = setup.network("float32")
    request = setup.request(network, Eager(skip_null=False), 1)
    with torch.inference_mode():
        end = request.run(1).float().cpu() if trajectory else None
    return Reference(setup.evaluate(request), end)


def measure_flow(
    row: Row,
    setup: Setup,
    report: Report,
    execution: str,
    lane: int,
    reference: Reference | None = None,
    runs: int = 3,
    attention: str | None = None,
    network: FlowNetwork | None = None,
    limit: float = 25.0,
) -> Timing:
    """Fill in a row: sample its batch in its precision."""
    torch.compiler.reset()
    clear(setup.device)
    network = network or setup.network(row.precision)
    chosen = choose(execution, Execution, EXECUTIONS)
    chosen.prepare(network)
    request = setup.request(network, chosen, row.batch)
    end: list[Tensor] = []

    def run() -> None:
        request.counts[0][0] = 0
        end[:] = [request.run(lane)]

    with torch.inference_mode(), attending(attention):
        timing = time_runs(run, setup.device, runs, limit=limit)
        if reference is not None:
            pairs = zip(setup.evaluate(request, lane), reference.evaluation, strict=True)
            row.error, row.guided = (relative_error(found, expected) for found, expected in pairs)
            row.final = None if reference.end is None else relative_error(end[0][:1], reference.end)
    lanes = -(-row.batch // lane)
    row.evaluations = request.counts[0][0] / lanes
    flops, weights = evaluation_cost(setup.sizes, setup.size, setup.tokens, skip_null=chosen.skip_null)
    moved = weights * BYTES[row.precision] * request.counts[0][0]
    row.took(timing, report.ceilings, flops * row.batch * row.evaluations, moved)
    return timing


def clear(device: torch.device) -> None:
    """Free what earlier rows have left, so that each row shows the memory of its own."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


@contextlib.contextmanager
def attending(backend: str | None) -> Iterator[None]:
    """Let attention use one implementation only."""
    if backend is None:
        yield
    elif backend not in BACKENDS:
        raise ValueError(f"attention: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    else:
        with sdpa_kernel([BACKENDS[backend], SDPBackend.MATH], set_priority=True):
            yield


def lane_name(lane: int, own: int) -> str:
    """A lane, and whether it is the one whose results do not depend on the request."""
    return f"{lane} (reproducible)" if lane == own else str(lane)


def lanes_of(batch: int, own: int, widest: int) -> Sequence[int]:
    """The lanes that a batch is measured at: the device's own, and as wide as the batch."""
    return sorted({own, min(batch, widest)})
