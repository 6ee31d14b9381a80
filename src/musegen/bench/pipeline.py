"""From prompts to closed files, batched and one by one, each part's seconds beside the poster's whole."""

from __future__ import annotations

from pathlib import Path

POSTER = {(16, False): 185.0, (16, True): 108.0}
"""Seconds on an A800 from so many prompts to as many clips, one by one and batched."""


def new_prompt(number: int) -> str:
    """A prompt that was not there before, so that no text is remembered."""
    return f"a {('slow', 'fast')[number % 2]} piece for {('piano', 'strings', 'drums')[number % 3]}, number {number}"


def pipeline(
    prompts: int | None = None,
    executions: list[str] = [],  # noqa: B006
    lanes: list[str] = [],  # noqa: B006
    decoder: str = "auto",
    precision: str | None = None,
    steps: int | None = None,
    stage1_steps: int | None = None,
    sampler: str = "dpmpp_2m",
    stage1_sampler: str = "euler",
    seconds: float | None = None,
    size: str | None = None,
    model: str | None = None,
    runs: int = 2,
    device: str = "auto",
    out: Path | None = None,
) -> None:
    """Measure a loaded pipeline from prompts to closed WAV files, batched and one by one.

    Parts that run beside each other (decoding and writing beside sampling) are counted in full, so that they may add up
    to more than the whole. The first call compiles, records and loads the text encoder; it stands in a column of its
    own.

    Args:
        prompts: and files; by default the poster's 16 on a GPU, 2 on a CPU.
        executions: as of musegen generate; by default auto and compiled on a GPU, auto on a CPU.
        lanes: own (the device's, reproducible), auto, or numbers; by default own and auto on a GPU, own on a CPU.
        decoder: as of musegen generate.
        precision: of the networks; by default bfloat16 on a GPU, float32 on a CPU.
        steps: of stage 2; by default the poster's 100 on a GPU, 4 on a CPU; with a model, its own.
        stage1_steps: of stage 1; by default the poster's 50 on a GPU, 4 on a CPU; with a model, its own.
        sampler: of stage 2, where no model is named.
        stage1_sampler: of stage 1, where no model is named.
        seconds: of a clip; by default the longest.
        size: poster or small, of networks of random weights; by default the poster's on a GPU.
        model: measure this pipeline in their place: a folder, or default.
        runs: that are counted, after one that compiles and one that warms up.
        device: auto, cpu, cuda …
        out: a JSON file; a plot goes beside it.
    """
    import itertools
    import tempfile
    from typing import Any

    import torch

    from musegen.bench.ceilings import measure_ceilings
    from musegen.bench.flows import clear
    from musegen.bench.networks import default_size
    from musegen.bench.pipelines import Clock, check_size, least_work, random_pipeline, write_clips
    from musegen.bench.report import Report, Row
    from musegen.bench.timing import time_runs
    from musegen.devices import choose_device, choose_dtype
    from musegen.pipeline import TextToMusic

    where = choose_device(device)
    gpu = where.type == "cuda"
    count = prompts if prompts is not None else 16 if gpu else 2
    if count < 1:
        raise ValueError(f"prompts: expected 1 or more, got {count}")
    chosen = check_size(default_size(size, where))
    if not all(lane in ("own", "auto") or (lane.isdecimal() and int(lane)) for lane in lanes):
        raise ValueError(f"lanes: expected own, auto or numbers above 0, got {', '.join(lanes)}")
    dtype = str(choose_dtype(precision, where)).removeprefix("torch.")
    defaults: dict[str, Any] = {
        "text2muq": {"sampler": stage1_sampler, "steps": stage1_steps or (50 if gpu else 4), "guidance": 3.0},
        "stable_audio_muq": {"sampler": sampler, "steps": steps or (100 if gpu else 4), "guidance": 3.0},
    }
    report = Report("pipeline", where, measure_ceilings(where), "s", out)
    work = None if model or seconds else least_work(chosen, defaults)

    def load(execution: str, lane: str) -> TextToMusic:
        own: Any = None if lane == "own" else lane if lane == "auto" else int(lane)
        given: Any = {"dtype": dtype, "lane": own, "execution": execution, "decoder": decoder}
        if model is None:
            return random_pipeline(chosen, where, defaults, **given)
        loaded = TextToMusic.load(None if model == "default" else model, where, **given)
        for stage, wanted in ((loaded.chain.text2muq, stage1_steps), (loaded.chain.stable_audio_muq, steps)):
            stage.defaults = stage.defaults.override(steps=wanted)
        return loaded

    numbers = itertools.count()

    def measure(row: Row, clock: Clock, together: bool) -> None:
        with tempfile.TemporaryDirectory(prefix="musegen-bench-") as folder:

            def once() -> None:
                clock.clear()
                texts = [new_prompt(next(numbers)) for _ in range(count)]
                write_clips(clock, texts, Path(folder), together, seconds)

            timing = time_runs(once, where, runs, limit=90.0)
        row.took(timing, report.ceilings, 0.0 if work is None else work * count)
        row.cold = timing.first if together else None  # one by one comes after, of the same pipeline, which is warm
        row.parts = {part: taken / count for part, taken in clock.seconds.items()}
        encoder = clock.text_encoder_bytes()
        ways = clock.pipeline.chain.ways()
        kinds = {config["class_path"].rpartition(".")[2].lower() for config in ways["execution"].values()}
        theirs = f" (poster {row.poster * count:.0f})" if row.poster else ""
        used = [f"{timing.median:.3g} s in all{theirs}", *sorted(kinds), f"decoder {ways['decoder']}"]
        row.note = ", ".join([*used, *([f"text encoder {encoder / 1e9:.2f} GB"] if encoder else [])])

    for execution in executions or (["auto", "compiled"] if gpu else ["auto"]):
        for lane in lanes or (["own", "auto"] if gpu else ["own"]):
            torch.compiler.reset()
            clear(where)
            clock = Clock(load(execution, lane))
            for together in (True, False):
                name = f"us, {execution}, {'batched' if together else 'one by one'}"
                poster = POSTER.get((count, together))
                label = "own (reproducible)" if lane == "own" else lane
                row = Row(name, count, label, dtype, poster=None if poster is None else poster / count)
                report.row(row, lambda row, clock=clock, together=together: measure(row, clock, together))
            del clock
    report.finish()
