"""The data module under Lightning's Trainer: exact resuming, and two processes that share the data."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from lightning_run import Witness, run
from little_shards import little_folder
from musegen.data.module import ShardData

SCRIPT = Path(__file__).parents[1] / "lightning_run.py"


def data(folder: Path, workers: int = 0, batch_size: int = 4) -> ShardData:
    splits = {"train": [str(folder)], "val": [str(folder)], "predict": [str(folder)]}
    return ShardData(**splits, batch_size=batch_size, num_workers=workers, seed=1)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    little_folder(folder, counts=(5, 1, 4, 3))  # 13 samples: three steps of 4 an epoch
    return folder


@pytest.fixture(scope="module")
def whole(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Witness, Path]:
    """Two epochs, undisturbed, with validations within the epoch; and its checkpoints."""
    folder = tmp_path_factory.mktemp("checkpoints")
    return run("fit", data(shards), folder, val_check_interval=2), folder


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("name", [*(f"step={step}" for step in range(1, 6)), "val-step=2", "val-step=5"])
def test_resuming_is_exact(shards: Path, whole: tuple[Witness, Path], name: str, workers: int) -> None:
    undisturbed, folder = whole
    assert len(undisturbed.seen["train"]) == 6
    step = int(name[-1])
    rest = run("fit", data(shards, workers), resume=folder / f"{name}.ckpt", val_check_interval=2)
    assert rest.seen["train"] == undisturbed.seen["train"][step:]
    assert torch.equal(rest.linear.weight, undisturbed.linear.weight)


@pytest.fixture(scope="module")
def accumulating(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Witness, Path]:
    """Three batches a step or what is left of an epoch, five batches an epoch."""
    folder = tmp_path_factory.mktemp("accumulating")
    settings = {"accumulate_grad_batches": 3, "val_check_interval": 2, "limit_train_batches": 5}
    return run("fit", data(shards, batch_size=2), folder, **settings), folder


@pytest.mark.parametrize("name", [*(f"batch={number}" for number in range(1, 10)), "val-step=0", "val-step=3"])
def test_resuming_is_exact_while_gradients_accumulate(
    shards: Path, accumulating: tuple[Witness, Path], name: str, tmp_path: Path
) -> None:
    undisturbed, folder = accumulating
    assert len(undisturbed.seen["train"]) == 10
    settings: dict[str, Any] = {"accumulate_grad_batches": 3, "limit_train_batches": 5, "val_check_interval": 2}
    # validations are after batches 2, 4, 7 and 9; steps after 3, 5, 8 and 10
    number = {"val-step=0": 2, "val-step=3": 9}.get(name) or int(name[-1])
    last_step = max(step for step in (0, 3, 5, 8) if step <= number)
    rest = run("fit", data(shards, batch_size=2), tmp_path, resume=folder / f"{name}.ckpt", **settings)
    assert rest.seen["train"] == undisturbed.seen["train"][last_step:]
    assert torch.equal(rest.linear.weight, undisturbed.linear.weight)
    again = run("fit", data(shards, batch_size=2), resume=tmp_path / "batch=1.ckpt", **settings)  # cut off again
    assert torch.equal(again.linear.weight, undisturbed.linear.weight)


def test_the_end_of_an_epoch_may_change_batches(shards: Path, whole: tuple[Witness, Path]) -> None:
    _, folder = whole
    for name in ("step=3", "batch=3"):
        with pytest.warns(UserWarning, match="the next epoch has batch_size 2, not 4"):
            rest = run_loudly(data(shards, batch_size=2), folder / f"{name}.ckpt")
        assert [len(batch) for batch in rest.seen["train"]] == [2] * 6
        assert [key for batch in rest.seen["train"] for key in batch] == [
            key for batch in keys_of_epoch(shards, 1) for key in batch
        ]


def run_loudly(module: ShardData, resume: Path) -> Witness:
    return run("fit", module, resume=resume, quiet=False)


def keys_of_epoch(shards: Path, epoch: int) -> list[list[str]]:
    loader = data(shards, batch_size=2).train_dataloader()
    for _ in range(epoch):
        list(loader)
    return [batch["key"] for batch in loader]


def test_reading_ahead_leaves_no_trace(shards: Path, whole: tuple[Witness, Path]) -> None:
    """Stages look at a loader of their own before training begins."""
    module = data(shards)
    next(iter(module.train_dataloader()))
    assert run("fit", module).seen["train"] == whole[0].seen["train"]


def test_a_run_ends_its_workers(shards: Path) -> None:
    before = set(multiprocessing.active_children())
    module = data(shards, workers=1)
    run("fit", module)
    assert set(multiprocessing.active_children()) <= before
    assert len(list(module.train_dataloader())) == 3  # and can be used again
    module.teardown("fit")


@pytest.fixture(scope="module")
def two(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], Path]:
    """What each of two processes saw."""
    out = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(SCRIPT)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        [*command, str(shards), str(out)], env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert result.returncode == 0, result.stderr[-4000:]
    return [json.loads((out / f"rank{rank}.json").read_text()) for rank in range(2)], out


def test_two_processes_see_disjoint_equal_parts(two: tuple[list[dict[str, Any]], Path], whole: Any) -> None:
    first, second = two[0]
    steps = zip(first["whole"]["train"], second["whole"]["train"], strict=True)
    assert [a + b for a, b in steps] == whole[0].seen["train"]  # the global batches of one process with twice the size
    torch.testing.assert_close(torch.tensor(first["weight"]), whole[0].linear.weight.detach())
    assert first["weight"] == second["weight"]
    for name, rank in (("val", first), ("val", second)):
        assert len(rank["whole"][name]) == 2 * 4
    every = [f"piece-{number:03d}" for number in range(13)]
    half = len(first["whole"]["val"]) // 2
    assert sorted(key for rank in two[0] for batch in rank["whole"]["val"][:half] for key in batch) == every
    assert sorted(key for rank in two[0] for batch in rank["predict"]["predict"] for key in batch) == every


def test_two_processes_resume_exactly(two: tuple[list[dict[str, Any]], Path]) -> None:
    for rank in two[0]:
        assert rank["rest"]["train"] == rank["whole"]["train"][4:]
        assert rank["rest_weight"] == rank["weight"]


def test_another_number_of_processes_cannot_resume(two: tuple[list[dict[str, Any]], Path], shards: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot go on .* expected processes 2 as it was, got 1"):
        run("fit", data(shards), resume=two[1] / "checkpoints" / "step=4.ckpt")
