"""Training as `musegen fit` runs it: loader, optimizer, running average and all, on one device or several."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

POSTER_STEPS = 39_000
"""Of stage 1 on the poster: 8.2 hours on two A800."""


def fit(
    stage: Literal["stage1", "stage2"] = "stage1",
    batch_sizes: list[int] = [],  # noqa: B006
    devices: list[int] = [1],  # noqa: B006
    accumulate: list[int] = [1],  # noqa: B006
    steps: int | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    graphed: bool = False,
    workers: int = 0,
    size: str | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure `musegen fit` on shards of noise, with random weights.

    Unlike `musegen bench train`, which repeats one step on one batch, this runs the command itself: reading and
    decoding shards, moving batches, gradient clipping, AdamW, the running average, Lightning. The first sixth of the
    steps is not counted. With several devices the efficiency says how much of so many single ones is left; what is
    lost is communication that nothing hides.

    Args:
        stage: which network.
        batch_sizes: items a step and device; by default 512 for stage 1 and 8 for stage 2 on a GPU, 2 on a CPU.
        devices: numbers of GPUs (processes on a CPU), by DistributedDataParallel.
        accumulate: numbers of batches whose gradients make a step.
        steps: batches that are read; by default 600 for stage 1 and 120 for stage 2 on a GPU, 12 on a CPU.
        precision: as Lightning has it; by default bf16-mixed on a GPU, 32-true on a CPU.
        compile: compile the block that the network repeats; by default on a GPU, where nothing is graphed.
        graphed: replay forward and backward pass as one CUDA graph; on one GPU.
        workers: processes that read.
        size: of the network; see `musegen bench stage1` and `stage2`.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    import tempfile
    from functools import partial

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.fitting import Plan, measure_fit
    from musegen.bench.networks import default_size
    from musegen.bench.report import Report, Row, batches
    from musegen.bench.synthetic_shards import LATENTS, MINILM, write_shards
    from musegen.devices import choose_device

    where = choose_device(device)
    gpu, first = where.type == "cuda", stage == "stage1"
    for name, numbers in (("devices", devices), ("accumulate", accumulate)):
        if not numbers or min(numbers) < 1:
            raise ValueError(f"{name}: expected numbers above 0, got {numbers}")
    count = steps if steps is not None else ((600 if first else 120) if gpu else 12)
    if count < 6:
        raise ValueError(f"steps: expected 6 or more, got {count}")
    plan = Plan(
        stage=stage,
        size=default_size(size, where),
        steps=count,
        precision=precision or ("bf16-mixed" if gpu else "32-true"),
        compile=(gpu and not graphed) if compile is None else compile,
        graphed=graphed,
        workers=workers,
        gpu=gpu,
    )
    report = Report(f"fit {stage}", where, measure_ceilings(where), out=out)
    with tempfile.TemporaryDirectory(prefix="musegen-bench-") as room:
        write_shards(Path(room) / "shards", MINILM if first else LATENTS)
        for batch in batches(batch_sizes, where, ([512] if first else [8]) if gpu else [2]):
            for number in accumulate:
                for many in devices:
                    row = Row(plan.name(many, number), batch, precision=plan.precision)
                    work = partial(measure_fit, report=report, plan=plan, room=Path(room), devices=many, every=number)
                    report.row(row, work)
    report.finish()
