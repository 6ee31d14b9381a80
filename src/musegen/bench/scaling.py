"""When batching helps: an evaluation over batch size and model size, predicted and measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musegen.bench.flows import Setup
    from musegen.bench.report import Report, Row
    from musegen.bench.roofline import Roofline

POSTER = {"stage1 poster": 0.938, "stage2 poster": 0.093}
"""The poster's efficiency at 16 items: the speedup, 15 and 1.5, over 16."""


def scaling(
    stages: list[str] = ["stage1", "stage2"],  # noqa: B006
    sizes: list[str] = [],  # noqa: B006
    batch_sizes: list[int] = [],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    execution: str | None = None,
    runs: int = 5,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure one guided evaluation at several batch sizes and model sizes, beside what three roofs predict.

    An evaluation takes no less than launching its operations, reading its weights, and its arithmetic; only the last
    grows with the batch. Efficiency is the time of one item by itself over the time that an item of the batch takes,
    over the batch: 100% where more items cost nothing.

    Args:
        stages: stage1 and stage2.
        sizes: of the networks; those that a stage has. By default 100M, poster, 500M, 1000M and 1500M, of stage 2 also
            300M, on a GPU; tiny, small and wide on a CPU.
        batch_sizes: items at once; by default 1 4 16 64 256 for stage 1 and 1 2 4 8 16 for stage 2 on a GPU, 1 4 16 on
            a CPU.
        precisions: float32, bfloat16, float8; by default bfloat16 and float32 on a GPU, float32 on a CPU.
        execution: how evaluations are run; by default graph on a GPU, eager on a CPU.
        runs: that are counted.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    from functools import partial

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import Setup
    from musegen.bench.networks import EMBEDDING, LATENTS
    from musegen.bench.report import Report, Row, batches
    from musegen.bench.roofline import Roofline, measure_launch
    from musegen.devices import choose_device
    from musegen.flow.paths.cosine import CosinePath
    from musegen.flow.paths.rectified import RectifiedFlow
    from musegen.flow.samplers.euler import Euler

    where = choose_device(device)
    gpu = where.type == "cuda"
    kinds = {
        "stage1": (EMBEDDING, 64, RectifiedFlow(), [1, 4, 16, 64, 256]),
        "stage2": (LATENTS, 10, CosinePath(), [1, 2, 4, 8, 16]),
    }
    if unknown := set(stages) - set(kinds):
        raise ValueError(f"stages: expected {' and '.join(kinds)}, got {', '.join(sorted(unknown))}")
    asked = sizes or (["100M", "300M", "poster", "500M", "1000M", "1500M"] if gpu else ["tiny", "small", "wide"])
    if unknown := [size for size in asked if size not in EMBEDDING and size not in LATENTS]:
        raise ValueError(f"sizes: expected some of {', '.join({**EMBEDDING, **LATENTS})}, got {', '.join(unknown)}")
    way = execution or ("graph" if gpu else "eager")
    launch = measure_launch(where, recorded=way != "eager")
    report = Report("scaling", where, measure_ceilings(where), out=out)
    for stage in stages:
        known, tokens, path, usual = kinds[stage]
        for precision in precisions or (["bfloat16", "float32"] if gpu else ["float32"]):
            for size in (size for size in asked if size in known):
                setup = Setup(known, size, tokens, path, Euler(), 1, where)
                roofs = Roofline.of(setup, precision, report.ceilings, launch)
                rows: list[Row] = []
                for batch in batches(batch_sizes, where, usual if gpu else [1, 4, 16]):
                    row = Row(f"{stage} {size}", batch, str(batch), precision, predicted=roofs.seconds(batch) / batch)
                    work = partial(_measure, setup=setup, report=report, way=way, roofs=roofs, rows=rows, runs=runs)
                    rows.append(report.row(row, work))
    print(f"one operation takes {1e6 * launch:.2g} µs to launch, {way}")
    report.finish()
    print("\n".join(said(report.rows)), flush=True)


def _measure(row: Row, setup: Setup, report: Report, way: str, roofs: Roofline, rows: Sequence[Row], runs: int) -> None:
    """Fill in a row: one guided evaluation of its batch."""
    import torch

    from musegen.bench.flows import BYTES, EXECUTIONS, clear
    from musegen.bench.networks import evaluation_cost
    from musegen.bench.timing import time_runs
    from musegen.flow.execution.base import Execution
    from musegen.plugins import choose

    clear(setup.device)
    torch.compiler.reset()
    network, chosen = setup.network(row.precision), choose(way, Execution, EXECUTIONS)
    chosen.prepare(network)
    several = 10 if setup.device.type == "cuda" else 1
    with torch.inference_mode():
        predict = setup.request(network, chosen, row.batch)._predict(torch.arange(row.batch))
        x, time = torch.randn(row.batch, *network.shape, device=setup.device), torch.tensor(0.5)
        timing = time_runs(lambda: [predict(x, time) for _ in range(several)], setup.device, runs, 2)
    flops, weights = evaluation_cost(setup.sizes, setup.size, setup.tokens)
    row.took(timing, report.ceilings, several * flops * row.batch, several * weights * BYTES[row.precision])
    assert row.each is not None
    assert row.floor is not None
    row.each, row.floor = row.each / several, row.floor / several
    row.note = f"{weights / 1e6:.3g}M, {roofs.bound(row.batch)}, knee at {roofs.knee:.2g}"
    if (alone := next((other.each for other in rows if other.batch == 1), None)) and row.batch > 1:
        measured = alone / row.each / row.batch
        row.note += f"; efficiency {measured:.0%}, predicted {roofs.efficiency(row.batch):.0%}"


def said(rows: Sequence[Row]) -> list[str]:
    """What the poster says of 16 items at once, beside what was measured here."""
    lines = []
    for what, efficiency in POSTER.items():
        times = {row.batch: row.each for row in rows if row.what == what and row.each}
        if 1 in times and 16 in times:
            lines.append(f"{what}, 16 at once: {times[1] / times[16] / 16:.1%}; the poster's {efficiency:.1%}")
    return lines
