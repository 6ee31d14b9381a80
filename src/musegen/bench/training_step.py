"""One training step, as the stages take it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.flop_counter import FlopCounterMode

from musegen.bench.networks import build, condition, flow_network
from musegen.bench.report import Report, Row
from musegen.bench.timing import time_runs, wait
from musegen.flow.execution.compiled import compile_blocks
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.base import FlowNetwork
from musegen.nn.stack import Stack


def measure_step(
    row: Row,
    report: Report,
    sizes: dict[str, dict[str, Any]],
    size: str,
    way: str,
    tokens: int,
    runs: int,
    ema: bool,
) -> None:
    """Fill in a row: how long one step takes, over several in a row."""
    torch.compiler.reset()
    device = report.device
    network = build(lambda: flow_network(sizes, size), device).train().requires_grad_(True)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("_features." not in name)
    if row.precision == "bfloat16":
        network.to(torch.bfloat16)
    step = make_step(network, row.batch, tokens, way, row.precision == "autocast", ema)
    several = 5 if device.type == "cuda" else 1

    def steps() -> None:
        for _ in range(several):
            step()

    timing = time_runs(steps, device, max(1, runs // several), limit=40.0)
    precision, row.precision = row.precision, "float32" if row.precision == "float32" else "bfloat16"
    row.took(timing, report.ceilings, several * row.batch * training_cost(sizes, size, tokens))
    row.precision = precision
    assert row.each is not None
    assert row.floor is not None
    row.each, row.floor = row.each / several, row.floor / several
    row.note = f"{1 / row.each:.4g} items/s"


def make_step(
    network: FlowNetwork, batch: int, tokens: int, way: str, autocast: bool, ema: bool
) -> Callable[[], object]:
    """A function that takes one step on data of its own.

    Args:
        network: to train, on its device.
        batch: items a step.
        tokens: of the condition.
        way: see `musegen.bench.train.train`.
        autocast: compute in bfloat16 what gains by it, with the weights as they are.
        ema: keep a running average of the weights.
    """
    words = set(way.split("-"))
    if not words <= {"eager", "compiled", "graph", "again"}:
        raise ValueError(f"ways: expected words of eager, compiled, graph and again, got {way!r}")
    device = next(network.parameters()).device
    gpu, graph = device.type == "cuda", "graph" in words and device.type == "cuda"
    for module in network.modules():
        if "again" in words and isinstance(module, Stack):
            module.gradient_checkpointing = True
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=gpu, capturable=graph)
    average = AveragedModel(network, multi_avg_fn=_average) if ema else None
    if "compiled" in words:
        compile_blocks(network)
    path = RectifiedFlow()
    told = condition(network, batch, tokens, device)
    data, noise = torch.randn(2, batch, *network.shape, device=device)
    time = torch.rand(batch, device=device)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        context = torch.autocast(device.type, torch.bfloat16) if autocast else contextlib.nullcontext()
        with context:
            prediction = network(path.interpolate(data, noise, time), time, told)
            loss = (prediction.float() - path.target(data, noise, time)).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=True)
        optimizer.step()
        if average is not None:
            if graph:
                _average(list(average.module.parameters()), list(network.parameters()), 0)
            else:
                average.update_parameters(network)
        return loss

    return record_step(step, device) if graph else step


def record_step(step: Callable[[], Tensor], device: torch.device) -> Callable[[], object]:
    """The whole step as one CUDA graph."""
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream(device).wait_stream(side)
    wait(device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


@torch.no_grad()
def _average(averaged: Any, current: Any, updates: Any) -> None:
    """As `musegen.callbacks.ema.EMA` does, once warm."""
    torch._foreach_lerp_(list(averaged), list(current), 1e-3)


def training_cost(sizes: dict[str, dict[str, Any]], size: str, tokens: int) -> float:
    """Operations of one item's forward pass, with its condition's, and of the backward pass, which asks for twice."""
    with torch.device("meta"):
        network = flow_network(sizes, size)
    told = condition(network, 1, tokens, torch.device("cpu")).to("meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, *network.shape, device="meta"), torch.empty(1, device="meta"), told)
    return 3.0 * counter.get_total_flops()
