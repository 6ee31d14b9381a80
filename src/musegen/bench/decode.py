"""Decoding latents to audio: precisions, layouts and chunk sizes, beside the peer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

ON_GPU = ["plain", "snakes graph", "plain compiled", "fast compiled", "kernels compiled"]


def decode(
    ways: list[str] = [],  # noqa: B006
    precisions: list[str] = [],  # noqa: B006
    chunks: list[int] = [],  # noqa: B006
    frames: int | None = None,
    size: str | None = None,
    runs: int = 5,
    compare: Literal["diffusers"] | None = None,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure the decoder, with random weights.

    Args:
        ways: "plain" is the module itself, "fast" its copy with folded weights, "snakes" that with one kernel an
            activation, "kernels" with one a narrow residual unit, too; "graph" records any of them, "compiled" compiles
            and records. By default "plain", "snakes graph" (what musegen generate takes by itself), "plain compiled",
            "fast compiled" and "kernels compiled" on a GPU, "plain" and "fast" on a CPU.
        precisions: float32, bfloat16, float16; by default float16 on a GPU, float32 on a CPU.
        chunks: frames decoded at a time; by default 128 256 1024 on a GPU, 32 on a CPU.
        frames: of the latents; by default 1024 (47 s) on a GPU, 32 on a CPU.
        size: poster or small; by default the poster's on a GPU.
        runs: that are counted.
        compare: also run diffusers' decoder on the same weights.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    import torch

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.decoders import decoder_cost, make_decoder, peer_decoder
    from musegen.bench.flows import clear
    from musegen.bench.networks import build, codec, default_size
    from musegen.bench.report import Report, Row, relative_error
    from musegen.bench.timing import time_runs
    from musegen.devices import choose_device

    where = choose_device(device)
    gpu = where.type == "cuda"
    chosen, frames = default_size(size, where), frames or (1024 if gpu else 32)
    report = Report("decode", where, measure_ceilings(where), out=out)
    vae = build(lambda: codec(chosen), where).fold_weight_norm()
    latents = torch.randn(1, vae.latent_channels, frames, generator=torch.Generator().manual_seed(1)).to(where)
    with torch.inference_mode():
        reference = vae.decode_chunked(latents, 128).cpu()
    operations = decoder_cost(chosen, frames)

    def measure(row: Row, way: str, chunk: int) -> None:
        torch.compiler.reset()
        clear(where)
        if way.startswith("diffusers"):
            run = peer_decoder(vae, getattr(torch, row.precision), way.endswith("compiled"))
        else:
            run = make_decoder(vae, way, getattr(torch, row.precision), chunk)
        made: list[torch.Tensor] = []

        def once() -> None:
            made[:] = [run(latents)]

        with torch.inference_mode():
            timing = time_runs(once, where, runs)
            row.error = relative_error(made[0], reference)
        row.took(timing, report.ceilings, operations)

    for precision in precisions or (["float32", "float16"] if gpu else ["float32"]):
        for way in ways or (ON_GPU if gpu else ["plain", "fast"]):
            for chunk in chunks or ([128, 256, 1024] if gpu else [32]):
                row = Row(f"us, {way}", 1, "1", precision, note=f"chunks of {chunk} frames")
                report.row(row, lambda row, way=way, chunk=chunk: measure(row, way, chunk))
        if compare == "diffusers":
            for way in ("diffusers", "diffusers, compiled"):
                report.row(Row(way, 1, "1", precision, note="whole"), lambda row, way=way: measure(row, way, 0))
    report.finish()
