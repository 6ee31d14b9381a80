"""One run of `musegen fit` on shards of noise, and what its log says of its speed."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from musegen.bench.fit import POSTER_STEPS
from musegen.bench.networks import EMBEDDING, LATENTS
from musegen.bench.report import Report, Row
from musegen.bench.training_step import training_cost
from musegen.conditioning.minilm import MiniLM

TEXT_TOKENS, MUQ_TOKENS = 32, 8
GIB_IN_GB = 2**30 / 1e9


@dataclass(frozen=True)
class Plan:
    """What all runs of a bench share; see `musegen.bench.fit.fit`."""

    stage: str
    size: str
    steps: int
    precision: str
    compile: bool
    graphed: bool
    workers: int
    gpu: bool

    def name(self, devices: int, every: int) -> str:
        """What a row is called."""
        where = f"{devices} {'GPU' if self.gpu else 'process'}{('s' if self.gpu else 'es') if devices > 1 else ''}"
        return f"fit on {where}{f', {every} batches a step' if every > 1 else ''}"

    @property
    def network(self) -> dict[str, Any]:
        """The network's arguments."""
        if self.stage == "stage1":
            return {**EMBEDDING[self.size], "text_dim": MiniLM.dim}
        return dict(LATENTS[self.size])


def measure_fit(row: Row, report: Report, plan: Plan, room: Path, devices: int, every: int) -> None:
    """Fill in a row: run the command in a process of its own, and read its log.

    Args:
        row: its batch is that of a device.
        report: rows before this one are what several devices are compared with.
        plan: what to train, and how.
        room: folder with the shards; the log goes there, too.
        devices: processes.
        every: batches whose gradients make a step.
    """
    log = room / f"log-{len(report.rows)}"
    config = room / "fit.yaml"  # JSON is YAML
    config.write_text(json.dumps(configuration(plan, row.batch, devices, every, room / "shards", log)))
    command = [sys.executable, "-m", "musegen.cli", "fit", "-c", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or [""]
        raise RuntimeError(lines[-1])
    speed = read_log(log)
    if not speed["speed/items_per_second"]:
        raise RuntimeError("no speed was logged")
    rate = median(speed["speed/items_per_second"])
    sizes = EMBEDDING if plan.stage == "stage1" else LATENTS
    flops = training_cost(sizes, plan.size, TEXT_TOKENS if plan.stage == "stage1" else MUQ_TOKENS + 2)
    ceiling = report.ceilings.matmul["bfloat16" if "bf16" in plan.precision and plan.gpu else "float32"]
    row.each, row.floor = 1 / rate, flops / ceiling / devices
    row.tflops, row.mfu = rate * flops / devices / 1e12, rate * flops / devices / ceiling
    if speed["memory/peak_gib"]:
        row.memory = max(speed["memory/peak_gib"]) * GIB_IN_GB
    said = [f"{rate:.4g} items/s", f"{median(speed['speed/data_wait']):.1%} waiting for data"]
    if plan.stage == "stage1":
        minutes = POSTER_STEPS * row.batch * devices * every / rate / 60
        said.append(f"{POSTER_STEPS:,} steps of {row.batch * devices * every} in {minutes:.3g} minutes")
    alone = (other.each for other in report.rows if (other.what, other.batch) == (plan.name(1, every), row.batch))
    if devices > 1 and (single := next(alone, None)):
        said.append(f"{rate * single / devices:.0%} of {devices} single ones")
    row.note = ", ".join(said)


def configuration(plan: Plan, batch: int, devices: int, every: int, shards: Path, log: Path) -> dict[str, Any]:
    """What `musegen fit -c` reads."""
    first = plan.stage == "stage1"
    stage = "text2muq.Text2MuQFlow" if first else "stable_audio_muq.StableAudioMuQ"
    network = "embedding_transformer.EmbeddingTransformer" if first else "diffusion_transformer.DiffusionTransformer"
    optimizer = _recipe("torch.optim.AdamW", lr=1e-4)  # not fused: Lightning would refuse to clip in mixed precision
    return {
        "seed_everything": 0,
        "model": _recipe(
            f"musegen.stages.{stage}",
            network=_recipe(f"musegen.models.{network}", **plan.network),
            conditioning=_captions() if first else _embeddings(int(plan.network.get("condition_dim", 768))),
            path=_recipe(f"musegen.flow.paths.{'rectified.RectifiedFlow' if first else 'cosine.CosinePath'}"),
            optimizer=optimizer,
            compile=plan.compile,
            graphed=plan.graphed,
        ),
        "data": _recipe(
            "musegen.data.module.ShardData",
            train=[str(shards)],
            fields=["embedding", "text"] if first else ["embedding", "latents"],
            batch_size=batch,
            num_workers=plan.workers,
            **({} if first else {"frames": int(plan.network.get("frames", 1024))}),
        ),
        "trainer": {
            "accelerator": "gpu" if plan.gpu else "cpu",
            "devices": devices,
            "strategy": "ddp" if devices > 1 else "auto",
            "precision": plan.precision,
            "max_steps": max(1, plan.steps // every),
            "accumulate_grad_batches": every,
            "gradient_clip_val": 1.0,
            "use_distributed_sampler": False,
            "limit_val_batches": 0,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "logger": _recipe("lightning.pytorch.loggers.CSVLogger", save_dir=str(log), name="", version=""),
            "callbacks": [
                _recipe("musegen.callbacks.ema.EMA", decay=0.999),
                _recipe(
                    "musegen.callbacks.throughput.Throughput",
                    every_n_steps=max(1, plan.steps // 6),
                    skip=max(1, plan.steps // 6),
                ),
            ],
        },
    }


def read_log(folder: Path) -> dict[str, list[float]]:
    """All readings of the throughput callback, by name."""
    names = ("speed/items_per_second", "speed/data_wait", "memory/peak_gib")
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows if row.get(name)] for name in names}


def _captions() -> dict[str, Any]:
    encoder = _recipe("musegen.conditioning.minilm.MiniLM")
    caption = _recipe("musegen.conditioning.caption.CaptionConditioner", encoder=encoder)
    return _told({"caption": caption}, ["caption"], [])


def _embeddings(width: int) -> dict[str, Any]:
    times = {
        name: _recipe("musegen.conditioning.seconds.SecondsConditioner", reads=name, dim=width)
        for name in ("seconds_start", "seconds_total")
    }
    muq = _recipe(
        "musegen.conditioning.embedding.EmbeddingConditioner", embedding_dim=512, tokens=MUQ_TOKENS, dim=width
    )
    return _told({"muq": muq, **times}, ["muq", *times], list(times))


def _told(conditioners: dict[str, Any], tokens: list[str], vector: list[str]) -> dict[str, Any]:
    name = "musegen.conditioning.conditioning.Conditioning"
    return _recipe(name, conditioners=conditioners, cross_attention=tokens, vector=vector)


def _recipe(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}
