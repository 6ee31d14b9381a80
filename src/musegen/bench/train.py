"""Training steps of both stages: loss, gradient, clipping, optimizer and running average, beside the ceilings."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def train(
    stage: Literal["stage1", "stage2"] = "stage2",
    batch_sizes: list[int] = [],  # noqa: B006
    ways: list[str] = ["eager", "compiled"],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    tokens: int | None = None,
    size: str | None = None,
    runs: int = 10,
    ema: bool = True,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure training steps on random data, with random weights.

    Args:
        stage: which network.
        batch_sizes: items a step; by default 8 16 32 for stage 2 and 128 512 2048 for stage 1 on a GPU, 2 on a CPU.
        ways: eager, compiled (each block), graph or compiled-graph (the whole step as one CUDA graph), and any of them
            with -again to compute activations again.
        precisions: autocast (weights float32, products bfloat16), bfloat16 (all of it), float32; by default autocast
            and bfloat16 on a GPU, float32 on a CPU.
        tokens: of the condition; by default 64 for stage 1 and 10 for stage 2.
        size: of the network; by default the poster's on a GPU.
        runs: steps that are counted.
        ema: keep a running average of the weights.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.networks import EMBEDDING, LATENTS, default_size
    from musegen.bench.report import Report, Row, batches
    from musegen.bench.training_step import measure_step
    from musegen.devices import choose_device

    where = choose_device(device)
    gpu = where.type == "cuda"
    first = stage == "stage1"
    sizes, chosen = (EMBEDDING if first else LATENTS), default_size(size, where)
    report = Report(f"train {stage}", where, measure_ceilings(where), out=out)
    wanted = batches(batch_sizes, where, ([128, 512, 2048] if first else [8, 16, 32]) if gpu else [2])
    for precision in precisions or (["autocast", "bfloat16"] if gpu else ["float32"]):
        for way in ways:
            for batch in wanted:
                row = Row(way, batch, str(batch), precision)
                told = tokens or (64 if first else 10)
                report.row(
                    row, lambda row, way=way, told=told: measure_step(row, report, sizes, chosen, way, told, runs, ema)
                )
    report.finish()
