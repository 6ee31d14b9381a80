"""Sampling of stage 2: embeddings to latents, at several batch sizes, beside the poster, the peer and the floor."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

POSTER = {1: 9.94, 4: 7.19, 16: 6.67}
"""Seconds an item on an A800, the decoder included."""


def stage2(
    batch_sizes: list[int] = [],  # noqa: B006
    executions: list[str] = ["eager", "graph", "compiled"],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    attentions: list[str] = [],  # noqa: B006
    steps: int | None = None,
    sampler: str = "euler",
    tokens: int = 10,
    size: str | None = None,
    runs: int = 3,
    compare: Literal["diffusers"] | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure sampling of stage 2, guided, with random weights.

    Args:
        batch_sizes: items a run, an execution as wide as the batch; by default 1 4 16 on a GPU, 1 2 on a CPU. What is
            not compiled is measured at 1 alone.
        executions: how evaluations are run: eager, graph, compiled.
        precisions: float32, bfloat16, float8; by default bfloat16 on a GPU, float32 on a CPU.
        attentions: implementations of attention to compare, compiled at batch 1: flash, cudnn, efficient.
        steps: of the sampler; by default the poster's 100 on a GPU, 5 on a CPU.
        sampler: its short name.
        tokens: of the condition; 8 of the embedding and 2 of the seconds.
        size: poster, small, 100M, 300M, 500M or 1500M; by default the poster's on a GPU.
        runs: that are counted, after one that compiles and one that warms up.
        compare: also run diffusers' transformer on the same weights.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import Setup, lane_name, measure_flow, measure_reference
    from musegen.bench.networks import LATENTS, default_size
    from musegen.bench.report import Report, Row, batches
    from musegen.devices import choose_device
    from musegen.flow.lanes import default_width
    from musegen.flow.paths.cosine import CosinePath
    from musegen.flow.samplers.base import Sampler
    from musegen.flow.settings import SAMPLERS
    from musegen.plugins import choose

    where = choose_device(device)
    gpu = where.type == "cuda"
    chosen, steps = default_size(size, where), steps or (100 if gpu else 5)
    setup = Setup(LATENTS, chosen, tokens, CosinePath(), choose(sampler, Sampler, SAMPLERS), steps, where)
    report = Report("stage2", where, measure_ceilings(where), "s", out)
    reference = measure_reference(setup)
    own = default_width(where, small=False)
    sizes = batches(batch_sizes, where, [1, 4, 16] if gpu else [1, 2])
    plain = "bfloat16" if gpu else "float32"
    for precision in precisions or [plain]:
        for execution in executions:
            for batch in sizes if execution.startswith("compiled") else sizes[:1]:
                row = Row(f"us, {execution}", batch, lane_name(batch, own), precision, poster=POSTER.get(batch))
                report.row(
                    row, lambda row, e=execution: measure_flow(row, setup, report, e, row.batch, reference, runs)
                )
    for attention in attentions:
        row = Row(f"us, compiled, {attention}", 1, lane_name(1, own), plain)
        report.row(
            row, lambda row, a=attention: measure_flow(row, setup, report, "compiled", 1, reference, runs, attention=a)
        )
    if compare == "diffusers":
        from musegen.bench.peers import diffusers_transformer

        for execution in ("eager", "whole"):
            row = Row(f"diffusers, {'compiled' if execution == 'whole' else execution}", 1, "1", plain)

            def measure(row: Row, execution: str = execution) -> None:
                peer = diffusers_transformer(setup.network(row.precision), compiled=execution == "whole")
                measure_flow(row, setup, report, "eager", 1, reference, runs, network=peer)

            report.row(row, measure)
    report.finish()
