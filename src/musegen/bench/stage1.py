"""Sampling of stage 1: captions' states to embeddings, at several batch sizes, beside the poster and the floor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from musegen.bench.flows import Setup
    from musegen.bench.report import Report, Row

POSTER = {1: 1.667, 4: 0.442, 8: 0.239, 16: 0.111, 32: 0.050}
"""Seconds an item on an A800."""


def stage1(
    batch_sizes: list[int] = [],  # noqa: B006
    executions: list[str] = ["eager", "graph", "compiled"],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    steps: int = 50,
    sampler: str = "euler",
    tokens: int = 64,
    size: str | None = None,
    runs: int = 5,
    compare: Literal["torchdiffeq"] | None = None,
    one_token: bool = False,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure sampling of stage 1, guided, with random weights.

    Args:
        batch_sizes: items a run; by default 1 4 8 16 32 256 on a GPU, 1 2 on a CPU.
        executions: how evaluations are run: eager, graph, compiled.
        precisions: float32, bfloat16, float8; by default bfloat16 on a GPU, float32 on a CPU.
        steps: of the sampler; 50 is the poster's.
        sampler: its short name.
        tokens: of the text.
        size: poster, small, 100M, 500M, 1000M or 1500M; by default the poster's on a GPU.
        runs: that are counted, after one that compiles and one that warms up.
        compare: also run torchdiffeq's dopri5, which the poster names, on the same weights.
        one_token: also with the embedding as one token, as others have it.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import Setup, lane_name, lanes_of, measure_flow, measure_reference
    from musegen.bench.networks import EMBEDDING, default_size
    from musegen.bench.report import Report, Row, batches
    from musegen.devices import choose_device
    from musegen.flow.lanes import default_width
    from musegen.flow.paths.rectified import RectifiedFlow
    from musegen.flow.samplers.base import Sampler
    from musegen.flow.settings import SAMPLERS
    from musegen.plugins import choose

    where = choose_device(device)
    gpu = where.type == "cuda"
    chosen = default_size(size, where)
    setup = Setup(EMBEDDING, chosen, tokens, RectifiedFlow(), choose(sampler, Sampler, SAMPLERS), steps, where)
    report = Report("stage1", where, measure_ceilings(where), out=out)
    reference = measure_reference(setup)
    own = default_width(where, small=True)
    for precision in precisions or (["bfloat16"] if gpu else ["float32"]):
        for execution in executions:
            for batch in batches(batch_sizes, where, [1, 4, 8, 16, 32, 256] if gpu else [1, 2]):
                for lane in lanes_of(batch, own, 1024):
                    row = Row(f"us, {execution}", batch, lane_name(lane, own), precision, poster=POSTER.get(batch))
                    report.row(
                        row, lambda row, e=execution, w=lane: measure_flow(row, setup, report, e, w, reference, runs)
                    )
    if one_token and chosen == "poster":
        other = Setup(EMBEDDING, "poster, 1 token", tokens, setup.path, setup.sampler, steps, where)
        for batch in (1, 16, 32, 256):
            row = Row("us, compiled, 1 token", batch, str(batch), "bfloat16")
            report.row(row, lambda row: measure_flow(row, other, report, "compiled", row.batch, None, runs))
    if compare == "torchdiffeq":
        for batch in (1, 16):
            row = Row("torchdiffeq dopri5", batch, str(batch), "bfloat16" if gpu else "float32")
            report.row(row, lambda row: _torchdiffeq(row, setup, report))
        own_solver: Any = choose("dopri5", Sampler, SAMPLERS)
        adaptive = Setup(EMBEDDING, chosen, tokens, setup.path, own_solver, steps, where)
        row = Row("us, dopri5, graph", 1, "1", "bfloat16" if gpu else "float32")
        report.row(row, lambda row: measure_flow(row, adaptive, report, "graph", 1, None, 2))
    report.finish()


def _torchdiffeq(row: Row, setup: Setup, report: Report) -> None:
    """The peer: an adaptive solver that shares its steps among all items of the batch, each operation as it comes."""
    import torch
    from torchdiffeq import odeint

    from musegen.bench.flows import BYTES
    from musegen.bench.networks import evaluation_cost
    from musegen.bench.timing import time_runs

    network = setup.network(row.precision)
    request = setup.request(network, None, row.batch)
    places, count = torch.arange(row.batch), [0]
    times = torch.linspace(0, 1, setup.steps + 1, device=setup.device)
    x = torch.randn(row.batch, *network.shape, generator=torch.Generator().manual_seed(1)).to(setup.device)

    def run() -> None:
        predict = request._predict(places)
        count[0] = 0

        def velocity(time: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
            count[0] += 1
            return predict(state, time.reshape(1).expand(len(state)))

        odeint(velocity, x, times, rtol=1e-5, atol=1e-5, method="dopri5", options={"step_t": times[-1:]})

    with torch.inference_mode():
        timing = time_runs(run, setup.device, 1, warm_up=0)
    flops, weights = evaluation_cost(setup.sizes, setup.size, setup.tokens, skip_null=False)
    row.evaluations = count[0]
    row.took(timing, report.ceilings, flops * row.batch * count[0], weights * BYTES[row.precision] * count[0])
