"""Fewer evaluations at equal quality: samplers, steps and guidance intervals beside the solution of 1000 steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from musegen.bench.report import Row
    from musegen.flow.settings import SamplingSettings


def steps(
    stages: list[str] = ["stage1", "stage2"],  # noqa: B006
    samplers: list[str] = ["euler", "midpoint", "dpmpp_2m"],  # noqa: B006
    steps: list[int] = [10, 20, 30, 50],  # noqa: B006
    intervals: list[str] = ["whole", "0.2-0.8"],  # noqa: B006
    reference: int = 1000,
    reference_sampler: str = "dpmpp_2m",
    items: int = 1,
    model: str | None = None,
    size: str | None = None,
    precision: str | None = None,
    execution: str = "auto",
    decode: bool = False,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure how far each way of sampling ends from the solution of many steps, from the same noise.

    Guidance intervals change what is solved; they are compared with the same solution, guided throughout. Below the
    table stands, for each stage, the way with the fewest passes through the network that ends as near to that solution
    as the pipeline's own settings do.

    Args:
        stages: stage1 and stage2.
        samplers: short names; those that draw noise on the way solve something else.
        steps: of each sampler.
        intervals: of flow times in which guidance works: whole, or such as 0.2-0.8; 0 is noise.
        reference: steps of the solution.
        reference_sampler: of the solution.
        items: prompts, each with a seed of its own.
        model: a pipeline's folder, or default; by default the shipped one on a CPU.
        size: poster or small, of random weights in place of a model; by default the poster's on a GPU.
        precision: of the networks; by default bfloat16 on a GPU, float32 on a CPU.
        execution: as of musegen generate.
        decode: also decode the latents, and say how near the sound is (SI-SDR).
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    import time
    from typing import Any

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.pipeline import new_prompt
    from musegen.bench.pipelines import check_size, random_pipeline
    from musegen.bench.report import Report, Row, relative_error
    from musegen.bench.trajectories import STAGES, WHOLE, Bench, within
    from musegen.devices import choose_device, choose_dtype
    from musegen.generation.folder import POSTER
    from musegen.pipeline import TextToMusic

    where = choose_device(device)
    gpu = where.type == "cuda"
    if unknown := set(stages) - set(STAGES):
        raise ValueError(f"stages: expected {' and '.join(STAGES)}, got {', '.join(sorted(unknown))}")
    for name, numbers in (("steps", steps), ("reference", [reference]), ("items", [items])):
        if not numbers or min(numbers) < 1:
            raise ValueError(f"{name}: expected numbers above 0, got {numbers}")
    dtype = str(choose_dtype(precision, where)).removeprefix("torch.")
    given: Any = {"dtype": dtype, "execution": execution}
    if size or (gpu and model is None):
        chosen = check_size(size or "poster")
        defaults = {**POSTER, "text2muq": {"sampler": "euler", "steps": 50, "guidance": 3.0}}
        loaded, what = random_pipeline(chosen, where, defaults, **given), f"random weights, {chosen}"
    else:
        loaded = TextToMusic.load(None if model in (None, "default") else model, where, **given)
        what = loaded.chain.name
    ways = Bench(loaded, [new_prompt(number) for number in range(items)])
    report = Report("steps", where, measure_ceilings(where), "s", out)
    found: list[str] = []
    tries = {
        stage: [
            (interval, ways.own(stage).override(sampler, count, within(ways.own(stage).guidance, interval)))
            for interval in intervals
            for sampler in samplers
            for count in steps
        ]
        for stage in stages
    }
    for stage in stages:
        own = ways.own(stage)
        solution = ways.run(stage, own.override(reference_sampler, reference)).end

        def measure(row: Row, settings: SamplingSettings, stage: str = stage, solution: Tensor = solution) -> None:
            begin = time.perf_counter()
            run = ways.run(stage, settings)
            row.each = (time.perf_counter() - begin) / items
            row.evaluations, row.passes = run.evaluations, run.passes
            row.final = relative_error(run.end, solution)
            if decode and stage == "stage2":
                row.note = f"SI-SDR {ways.sound_error(run.end, solution):.1f} dB"

        def label(settings: SamplingSettings, stage: str = stage) -> str:
            name = settings.sampler.config["class_path"].split(".")[-2]
            return f"{stage} {name}, {settings.steps} steps"

        asked = Row(f"{label(own)}, its own", items, precision=dtype)
        report.row(asked, lambda row, own=own: measure(row, own))
        rows = []
        for interval, settings in tries[stage]:
            row = Row(label(settings) + ("" if interval == WHOLE else f", guided {interval}"), items, precision=dtype)
            rows.append(report.row(row, lambda row, settings=settings: measure(row, settings)))
        found.append(fewest(asked, rows))
    print(f"{what}; the solution: {reference_sampler} in {reference} steps, guided throughout")
    report.finish()
    print("\n".join(found), flush=True)


def fewest(own: Row, rows: Sequence[Row]) -> str:
    """Say which row ends as near as a stage's own settings do, with the fewest passes through its network."""
    if own.final is None or own.passes is None:
        return f"{own.what}: not measured"
    near = [row for row in rows if row.final is not None and row.passes and row.final <= 1.05 * own.final]
    said = f"{own.what}: error {own.final:.2g} after {own.passes:g} passes"
    if not near:
        return f"{said}; nothing else comes as near"
    best = min(near, key=lambda row: (row.passes or 0, row.final or 0))
    return f"{said}; as near with the fewest: {best.what}, {best.final:.2g} after {best.passes:g}"
