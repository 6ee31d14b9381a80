"""How much results differ: between executions, precisions, and requests for the same item."""

from __future__ import annotations

from pathlib import Path


def differences(
    stages: list[str] = ["stage1", "stage2"],  # noqa: B006
    executions: list[str] = [],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    items: int | None = None,
    steps: int | None = None,
    size: str | None = None,
    model: str | None = None,
    decoders: list[str] = ["plain"],  # noqa: B006
    seconds: float | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure how far results lie apart that should be one.

    Of each stage, with random weights: a guided evaluation beside the plain path's in float32 (error, guided) and in
    the same precision (same), the end of the trajectory likewise, and the largest difference of an item's numbers
    between requests: alone, among others from first to last and from last to first at the device's own lane, where
    there should be none, and in one lane as wide as the request. Of a model: whole clips.

    Args:
        stages: stage1, stage2, or none.
        executions: how evaluations are run; by default eager, graph and compiled on a GPU, eager and compiled on a CPU.
        precisions: float32, bfloat16, float8; by default all that the device is fast at.
        items: of the largest request; by default 16 on a GPU, 4 on a CPU.
        steps: of the trajectories; by default 50 and 20 on a GPU, 4 on a CPU.
        size: of the networks; see `musegen bench stage1`.
        model: a pipeline's folder, or default: also compare its clips.
        decoders: of the model's clips; see `musegen generate`.
        seconds: of the model's clips; by default its longest on a GPU, 1 on a CPU.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    from functools import partial
    from typing import Any

    from torch import Tensor

    from musegen.bench.agreement import compare_clips, compare_flow, plain_reference
    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import Setup, measure_reference
    from musegen.bench.networks import EMBEDDING, LATENTS, default_size
    from musegen.bench.pipeline import new_prompt
    from musegen.bench.report import Report, Row
    from musegen.devices import choose_device
    from musegen.flow.lanes import default_width
    from musegen.flow.paths.cosine import CosinePath
    from musegen.flow.paths.rectified import RectifiedFlow
    from musegen.flow.samplers.euler import Euler
    from musegen.nn.float8 import supports_float8
    from musegen.pipeline import TextToMusic

    where = choose_device(device)
    gpu = where.type == "cuda"
    kinds = {"stage1": (EMBEDDING, 64, RectifiedFlow(), 50), "stage2": (LATENTS, 10, CosinePath(), 20)}
    if unknown := set(stages) - set(kinds):
        raise ValueError(f"stages: expected {' and '.join(kinds)}, got {', '.join(sorted(unknown))}")
    count = items if items is not None else 16 if gpu else 4
    for name, number in (("items", count), ("steps", steps)):
        if number is not None and number < 1:
            raise ValueError(f"{name}: expected 1 or more, got {number}")
    ways = executions or (["eager", "graph", "compiled"] if gpu else ["eager", "compiled"])
    computed = precisions or [
        "float32",
        *(["bfloat16"] if gpu else []),
        *(["float8"] if supports_float8(where) else []),
    ]
    report = Report("differences", where, measure_ceilings(where), "s", out)
    for stage in stages:
        sizes, tokens, path, usual = kinds[stage]
        setup = Setup(sizes, default_size(size, where), tokens, path, Euler(), steps or (usual if gpu else 4), where)
        lane = default_width(where, small=stage == "stage1")
        compare = partial(compare_flow, setup=setup, items=count, lane=lane, reference=measure_reference(setup))
        for precision in computed:
            same = plain_reference(setup, precision)
            for way in ways:
                row = Row(f"{stage}, {way}", count, f"{lane} (reproducible)", precision)
                report.row(row, partial(compare, execution=way, same=same))
    if model is not None:
        prompts = [new_prompt(number) for number in range(count)]
        options: dict[str, Any] = {"seconds": seconds if seconds or gpu else 1.0}
        if steps:
            options |= {"steps": steps, "stage1_steps": steps}
        folder = None if model == "default" else model
        expected: list[Tensor] = []

        def clips(row: Row, execution: str, decoder: str) -> None:
            load = partial(TextToMusic.load, folder, where, row.precision, execution=execution, decoder=decoder)
            made = compare_clips(row, load, prompts, expected, options)
            expected[:] = expected or made

        for precision in dict.fromkeys(["float32", *(one for one in computed if not one.startswith("float8"))]):
            for way in dict.fromkeys(["eager", *ways]):
                for decoder in dict.fromkeys(["plain", *decoders]):
                    row = Row(f"clips, {way}, decoder {decoder}", count, "reproducible", precision)
                    report.row(row, partial(clips, execution=way, decoder=decoder))
    report.finish()
