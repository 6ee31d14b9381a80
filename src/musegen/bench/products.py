"""The matrix products and attentions of both networks alone: what limits them, shape by shape."""

from __future__ import annotations

from pathlib import Path


def products(
    rows: list[int] = [],  # noqa: B006
    device: str = "auto",
    runs: int = 5,
    out: Path | None = None,
) -> None:
    """Measure each shape of matrix product in both networks, and each implementation of attention.

    Args:
        rows: of the products, tokens of all items; by default those of stage 1 at 1, 16 and 256 items, and of stage 2
            at 1, 2 and 16, on a GPU.
        device: auto, cpu, cuda …
        runs: that are counted.
        out: a JSON file.
    """
    import torch
    from torch.nn.functional import linear, scaled_dot_product_attention

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import BACKENDS, attending
    from musegen.bench.report import Report, Row
    from musegen.bench.timing import time_runs
    from musegen.devices import choose_device
    from musegen.nn.float8 import Float8Linear

    where = choose_device(device)
    gpu = where.type == "cuda"
    dtype = torch.bfloat16 if gpu else torch.float32
    name = str(dtype).removeprefix("torch.")
    report = Report("products", where, measure_ceilings(where), out=out)
    several = 20 if gpu else 1

    def measure(row: Row, run, flops: float) -> None:
        def repeated() -> None:
            for _ in range(several):
                run()

        with torch.inference_mode():
            timing = time_runs(repeated, where, runs)
        row.took(timing, report.ceilings, several * flops)
        assert row.each is not None
        assert row.floor is not None
        row.each, row.floor, row.memory = row.each / several, row.floor / several, None

    stages = {
        "stage1": (1024, (3072, 1024), (4096, 1024), (16, 256, 4096)),
        "stage2": (1536, (4608, 1536), (12288, 1536), (2048, 2050, 4100, 32800)),
    }
    for stage, (dim, attention, feed, counts) in stages.items():
        shapes = [(dim, attention[0]), (dim, attention[1]), (dim, feed[0]), (4 * dim, feed[1])]
        for count in rows or (counts if gpu else (16,)):
            for inner, outer in shapes:
                x = torch.randn(count, inner, device=where, dtype=dtype)
                layer = torch.nn.Linear(inner, outer, bias=False, device=where, dtype=dtype)
                flops = 2.0 * count * inner * outer
                row = Row(f"{stage} {inner}→{outer}", 1, precision=name, note=f"{count} rows")
                report.row(row, lambda row, x=x, w=layer.weight, f=flops: measure(row, lambda: linear(x, w), f))
                if gpu and count in (2050, 32800):
                    quick = torch.compile(Float8Linear(layer), dynamic=False)
                    row = Row(f"{stage} {inner}→{outer}", 1, precision="float8", note=f"{count} rows, with rounding")
                    report.row(row, lambda row, x=x, q=quick, f=flops: measure(row, lambda: q(x), f))
    for items in (2, 32) if gpu else (1,):
        frames = 1025 if gpu else 65
        parts = torch.randn(3, items, frames, 24, 64, device=where, dtype=dtype).transpose(2, 3)
        for backend in BACKENDS:
            if backend == "math" and items > 2:
                continue
            row = Row(f"attention, {backend}", 1, precision=name, note=f"{items} items of {frames} tokens")

            def attend(row: Row, parts=parts, backend: str = backend) -> None:
                queries, keys, values = parts
                with attending(backend):
                    operations = 4.0 * queries.numel() * queries.shape[2]
                    measure(row, lambda: scaled_dot_product_attention(queries, keys, values), operations)

            report.row(row, attend)
    report.finish()
