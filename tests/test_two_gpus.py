"""Two real GPUs learn what one learns, over NCCL. Run by hand: ``pytest -m gpu tests/test_two_gpus.py -s``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from runs import command
from test_distributed import experiment, furthest, record, shards, weights  # noqa: F401

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA GPUs"),
]
GPUS = ("--trainer.accelerator", "gpu", "--trainer.devices")


def run(out: Path, yaml: str, *arguments: str) -> None:
    ended = command("-m", "musegen.cli", "fit", "-c", yaml, *arguments, folder=out / "cwd")
    assert ended.status == [0], ended.printed[-4000:]


def test_two_gpus_equal_one_and_resume(shards: Path, tmp_path: Path) -> None:  # noqa: F811
    pair, single, rest = (tmp_path / name for name in ("pair", "single", "rest"))
    run(pair, experiment(shards, pair, every=3), *GPUS, "2", "--trainer.strategy", "ddp")
    run(single, experiment(shards, single, every=3), *GPUS, "1", "--data.init_args.batch_size", "8")
    zero, one, both = record(pair), record(pair, 1), record(single)
    means = [(a + b) / 2 for (*_, a), (*_, b) in zip(zero["batches"], one["batches"], strict=True)]
    alone = [loss for *_, loss in both["batches"]]
    losses = max(abs(a - b) for a, b in zip(means, alone, strict=True))
    apart = furthest(zero["weights"], both["weights"])
    print(f"two GPUs against one: losses differ by {losses:.2g}, final weights by {apart:.2g}")
    assert len(means) == len(alone) > 3
    assert losses < 1e-3
    assert furthest(zero["weights"], one["weights"]) == 0
    halfway = pair / "step=3.ckpt"
    run(rest, experiment(shards, rest, every=3), *GPUS, "2", "--trainer.strategy", "ddp", "--ckpt_path", str(halfway))
    resumed = furthest(record(rest)["weights"], zero["weights"])
    print(f"resumed in the middle of an epoch on two GPUs: final weights differ by {resumed:.2g}")
    assert resumed < 1e-4
