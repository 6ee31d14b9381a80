"""How far results lie apart that should be one: between ways of computing, and between requests for the same item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from musegen.bench.flows import Counted, Reference, Setup, clear
from musegen.bench.report import Row, relative_error
from musegen.bench.timing import time_runs
from musegen.flow.execution.base import Execution
from musegen.flow.execution.eager import Eager
from musegen.models.base import FlowNetwork
from musegen.models.reconstruction_loss import scale_invariant_sdr
from musegen.pipeline import TextToMusic
from musegen.plugins import choose

EXECUTIONS = "musegen.flow.execution"
SAME_PRECISION = 1e-3
"""Largest error of an evaluation beside the plain path in the same precision."""
TOLERANCES = {"float32": 1e-3, "bfloat16": 1e-2, "float16": 1e-2, "float8": 5e-2, "float8-ff": 5e-2}
"""Largest error of an evaluation beside the plain path in float32."""


def compare_flow(
    row: Row, setup: Setup, execution: str, items: int, lane: int, reference: Reference, same: Reference
) -> None:
    """Fill in a row: a stage's evaluation and trajectory beside the plain path's, and its items however asked for.

    Args:
        row: its precision is the network's.
        setup: the stage.
        execution: how evaluations are run.
        items: of the largest request.
        lane: the device's own, at which an item's bits should not depend on the request.
        reference: the plain path in float32.
        same: the plain path in the row's precision.
    """
    torch.compiler.reset()
    clear(setup.device)
    network = setup.network(row.precision)
    chosen = choose(execution, Execution, EXECUTIONS)
    chosen.prepare(network)
    request = setup.request(network, chosen, items)
    end: list[Tensor] = []

    def run() -> None:
        end[:] = [request.run(lane)]

    with torch.inference_mode():
        timing = time_runs(run, setup.device, 1, warm_up=0)
        row.cold, row.each = timing.first, timing.median / items
        found = setup.evaluate(request, lane)
        row.error, row.guided = (relative_error(*pair) for pair in zip(found, reference.evaluation, strict=True))
        row.same = relative_error(found[0], same.evaluation[0])
        row.final = None if reference.end is None else relative_error(end[0][:1], reference.end)
        asked = {"alone": lambda: _one_by_one(request, lane), "reordered": lambda: _reordered(request, lane)}
        if items != lane:
            asked[f"one lane of {items}"] = lambda: request.run(items)
        row.apart = {name: largest_difference(again(), end[0]) for name, again in asked.items()}
    row.note = verdict(row)


def plain_reference(setup: Setup, precision: str) -> Reference:
    """The plain path's evaluation in a precision; its trajectory is not needed."""
    network: FlowNetwork = setup.network(precision)
    return Reference(setup.evaluate(setup.request(network, Eager(skip_null=False), 1)), None)


def verdict(row: Row) -> str:
    """Whether a row keeps the tolerances, and the bits of an item."""
    if row.error is None or row.same is None or row.apart is None:
        return ""
    asked = TOLERANCES[row.precision]
    kept = row.error <= asked and row.same <= SAME_PRECISION
    bits = all(row.apart[name] == 0 for name in ("alone", "reordered"))
    return f"≤ {asked:g} and {SAME_PRECISION:g} asked: {'kept' if kept else 'NOT KEPT'}; {bits_are(bits)}"


def bits_are(same: bool) -> str:
    """What is said of an item's bits in requests of all kinds."""
    return "the same bits in every request" if same else "BITS DEPEND ON THE REQUEST"


def largest_difference(first: Tensor, second: Tensor) -> float:
    """Of any two numbers at the same place."""
    return float((first.double() - second.double()).abs().max())


def _one_by_one(request: Counted, lane: int) -> Tensor:
    """Every item in a request of its own."""
    return torch.cat([_some(request, [item]).run(lane) for item in range(len(request.seeds))])


def _reordered(request: Counted, lane: int) -> Tensor:
    """All items from last to first, put back in order."""
    backwards = list(reversed(range(len(request.seeds))))
    return _some(request, backwards).run(lane).flip(0)


def _some(request: Counted, items: Sequence[int]) -> Counted:
    return replace(request, condition=request.condition[torch.tensor(items)], seeds=[request.seeds[i] for i in items])


def compare_clips(
    row: Row, load: Callable[[], TextToMusic], prompts: Sequence[str], reference: Sequence[Tensor], options: Any
) -> list[Tensor]:
    """Fill in a row: whole clips beside those of the plain path in float32, and however they are asked for.

    Args:
        row: to fill in.
        load: gives the pipeline.
        prompts: each makes one clip, with seed 0.
        reference: the plain path's clips; none for that path itself.
        options: of `TextToMusic.generate`.

    Returns:
        The clips, ``[2, samples]`` each.
    """
    torch.compiler.reset()
    pipeline = load()
    clear(pipeline.device)
    made: list[Tensor] = []

    def make(asked: Sequence[str]) -> list[Tensor]:
        return [clip.audio for clip in pipeline.generate(list(asked), 0, **options)]

    timing = time_runs(lambda: made.__setitem__(slice(None), make(prompts)), pipeline.device, 1, warm_up=0)
    row.cold, row.each = timing.first, timing.median / len(prompts)
    alone = [make([prompt])[0] for prompt in prompts]
    backwards = make(list(reversed(prompts)))[::-1]
    row.apart = {
        name: max(largest_difference(*pair) for pair in zip(again, made, strict=True))
        for name, again in (("alone", alone), ("reordered", backwards))
    }
    said = [bits_are(not any(row.apart.values()))]
    if reference:
        row.final = relative_error(torch.stack(made), torch.stack(list(reference)))
        quality = scale_invariant_sdr(torch.stack(made), torch.stack(list(reference))).mean()
        said.insert(0, f"SI-SDR {float(quality):.1f} dB")
    row.note = "; ".join(said)
    return made
