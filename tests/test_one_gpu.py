"""A killed run on a GPU goes on bit for bit under ``deterministic: true``: ``pytest -m gpu tests/test_one_gpu.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from runs import command
from test_distributed import experiment, identical, record, shards, weights  # noqa: F401

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
]
SETTINGS = {"accelerator": "gpu", "precision": "bf16-mixed", "deterministic": True, "accumulate_grad_batches": 2}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_ends_bit_for_bit_like_one_that_was_not(workers: int, shards: Path, tmp_path: Path) -> None:  # noqa: F811
    whole, out = tmp_path / "whole", tmp_path / "killed"

    def fit(out: Path, *arguments: str) -> int:
        yaml = experiment(shards, out, every=2, **SETTINGS)
        more = ("--data.init_args.num_workers", str(workers), *arguments)
        ended = command("-m", "musegen.cli", "fit", "-c", yaml, *more, folder=out / "cwd")
        assert ended.status[0] in (0, -9), ended.printed[-4000:]
        return ended.status[0]

    assert fit(whole) == 0
    assert fit(out, "--trainer.callbacks.init_args.kill_at", "8", "--trainer.callbacks.init_args.save_at", "8") == -9
    assert fit(out, "--ckpt_path", str(out / "saved.ckpt")) == 0  # of a moment between two steps
    assert record(out)["batches"] == record(whole)["batches"][7:]
    assert identical(record(out)["weights"], record(whole)["weights"])
    assert identical(weights(out / "last.ckpt"), weights(whole / "last.ckpt"))
