"""Training on two processes is training on one, and a run that was killed goes on as if nothing had been."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch

from little_shards import little_folder
from musegen.data.module import ShardData
from runs import CPU, Ended, command, config, forked, free_port, spec, stage_1, stage_2

ITEMS, HELD_OUT = 22, 7
EPOCHS, BATCHES = 3, 5  # batches of four: 22 items are five, and two items stay out

EMA = spec("musegen.callbacks.ema.EMA", decay=0.9)
SHARDS = "musegen.data.module.ShardData"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    little_folder(folder / "train", (9, 1, ITEMS - 10))
    little_folder(folder / "val", (HELD_OUT,), prefix="held")
    return folder


def experiment(shards: Path, out: Path, every: int, model: dict[str, Any] | None = None, **settings: Any) -> str:
    """Stage 2 with everything random: crops, dropped conditions, shuffling; a checkpoint every few steps."""
    fields = ["caption", "embedding"] if model else ["embedding", "latents"]
    data = spec(SHARDS, train=[f"{shards}/train"], val=[f"{shards}/val"], fields=fields, frames=16, batch_size=4)
    keep = spec(
        "lightning.pytorch.callbacks.ModelCheckpoint",
        dirpath=str(out), filename="{step}", save_last=True, every_n_train_steps=every, save_top_k=-1,
    )  # fmt: skip
    callbacks = [EMA, keep, spec("recorder.Recorder", folder=str(out))]
    trainer = {**CPU, "max_epochs": EPOCHS, "callbacks": callbacks, **settings}
    return config(out / "config.yaml", model=model or stage_2(), data=data, trainer=trainer)


def record(out: Path, rank: int = 0) -> dict[str, Any]:
    return torch.load(out / f"rank{rank}.pt", weights_only=True)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """All tensors of a checkpoint: average, raw weights, optimizer."""
    content = torch.load(checkpoint, weights_only=True)
    states = content["optimizer_states"][0]["state"]
    moments = {f"{number}.{name}": value for number, state in states.items() for name, value in state.items()}
    raw = {f"raw.{name}": value for name, value in content["current_model_state"].items()}
    return {**content["state_dict"], **raw, **moments}


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """The largest difference between any two numbers."""
    assert one.keys() == other.keys()
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one)


def identical(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# --- two processes

TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp")


@pytest.fixture(scope="module")
def pair(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that starts its second process by itself, as a user's would."""
    out = tmp_path_factory.mktemp("pair")
    ended = command(
        "-m", "musegen.cli", "fit", "-c", experiment(shards, out, every=3), *TWO,
        folder=out / "cwd",
    )  # fmt: skip
    assert ended.status == [0], ended.printed
    return out


@pytest.fixture(scope="module")
def single(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same global batches on one process."""
    out = tmp_path_factory.mktemp("single")
    yaml = experiment(shards, out, every=3)
    ended = forked("fit", "-c", yaml, "--data.init_args.batch_size", "8", folder=out / "cwd")
    assert ended.status == [0], ended.printed
    return out


def test_processes_see_disjoint_parts_of_what_one_sees(pair: Path, single: Path) -> None:
    zero, one, both = record(pair), record(pair, 1), record(single)
    assert len(zero["batches"]) == len(one["batches"]) == len(both["batches"]) == EPOCHS * (ITEMS // 8)
    for (_, first, _), (_, second, _), (_, whole, _) in zip(
        zero["batches"], one["batches"], both["batches"], strict=True
    ):
        assert len(first) == len(second) == 4
        assert first + second == whole
    for epoch in range(EPOCHS):
        seen = [key for part in (zero, one) for when, keys, _ in part["batches"] if when == epoch for key in keys]
        assert len(seen) == len(set(seen)) == ITEMS // 8 * 8
    assert len(zero["validations"]) == len(one["validations"])
    held_out = [
        sorted(key for part in parts for key in chain(*part["validations"])) for parts in ((zero, one), (both,))
    ]
    assert held_out[0] == held_out[1]
    assert len(held_out[0]) >= EPOCHS * HELD_OUT


def test_processes_have_the_same_weights(pair: Path) -> None:
    zero, one = record(pair)["weights"], record(pair, 1)["weights"]
    assert identical(zero, one)


def test_two_processes_learn_what_one_learns(pair: Path, single: Path) -> None:
    zero, one, both = record(pair), record(pair, 1), record(single)
    mean = [(a + b) / 2 for (*_, a), (*_, b) in zip(zero["batches"], one["batches"], strict=True)]
    alone = [loss for *_, loss in both["batches"]]
    losses = max(abs(a - b) for a, b in zip(mean, alone, strict=True))
    moved = furthest(record(single)["weights"], weights_at_start(single))
    apart = furthest(zero["weights"], both["weights"])
    held_out = abs(zero["logged"]["val/loss"] - both["logged"]["val/loss"])
    print(f"losses differ by {losses:.2g}, weights by {apart:.2g} (moved by {moved:.2g}), val/loss by {held_out:.2g}")
    assert len(set(alone)) == len(alone)
    assert moved > 1e-2
    assert max(losses, apart, held_out) < 1e-5
    assert zero["logged"]["val/loss"] == one["logged"]["val/loss"]


def weights_at_start(out: Path) -> dict[str, torch.Tensor]:
    """Raw weights of the first checkpoint."""
    content = torch.load(out / "step=3.ckpt", weights_only=True)
    return content["current_model_state"]


def test_two_processes_go_on_in_the_middle_of_an_epoch(pair: Path, shards: Path, tmp_path: Path) -> None:
    yaml = experiment(shards, tmp_path, every=3)
    ended = forked("fit", "-c", yaml, *TWO, "--ckpt_path", f"{pair}/step=3.ckpt", folder=tmp_path / "cwd", processes=2)
    assert ended.status == [0, 0], ended.printed
    assert [len(record(tmp_path, rank)["batches"]) for rank in (0, 1)] == [3, 3]
    assert record(tmp_path)["batches"] == record(pair)["batches"][3:]
    assert identical(weights(tmp_path / "last.ckpt"), weights(pair / "last.ckpt"))


def refused(ended: Ended, *words: str) -> None:
    assert set(ended.status) == {2}, ended.printed
    assert "Traceback" not in ended.printed
    lines = set(ended.complaints)
    assert len(lines) == 1, ended.printed
    assert all(word in line for line in lines for word in words), lines


def test_another_number_of_processes_is_refused(pair: Path, single: Path, shards: Path, tmp_path: Path) -> None:
    yaml = experiment(shards, tmp_path, every=3)
    alone = forked("fit", "-c", yaml, "--ckpt_path", f"{pair}/step=3.ckpt", folder=tmp_path / "cwd")
    refused(alone, "processes", "2", "1")
    two = forked("fit", "-c", yaml, *TWO, "--ckpt_path", f"{single}/step=3.ckpt", folder=tmp_path / "cwd", processes=2)
    refused(two, "processes", "1", "2")


def test_torchrun_starts_the_processes_as_well(shards: Path, tmp_path: Path) -> None:
    yaml = experiment(shards, tmp_path, every=2, model=stage_1(), max_steps=2)
    ended = command(
        "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port()),
        "-m", "musegen.cli", "fit", "-c", yaml, *TWO,
        folder=tmp_path / "cwd",
    )  # fmt: skip
    assert ended.status == [0], ended.printed
    zero, one = record(tmp_path), record(tmp_path, 1)
    assert len(zero["batches"]) == len(one["batches"]) == 2
    keys = [key for part in (zero, one) for _, batch, _ in part["batches"] for key in batch]
    assert len(set(keys)) == 16
    assert identical(zero["weights"], one["weights"])


def test_the_end_of_an_epoch_may_change_the_number_of_processes(pair: Path, shards: Path, tmp_path: Path) -> None:
    yaml = experiment(shards, tmp_path, every=3, max_epochs=EPOCHS + 1)
    arguments = ["fit", "-c", yaml, "--data.init_args.batch_size", "8", "--ckpt_path", f"{pair}/last.ckpt"]
    alone = forked(*arguments, folder=tmp_path / "cwd")
    assert alone.status == [0], alone.printed
    assert "the next epoch has processes 1, not 2" in alone.printed
    loader = ShardData(train=[f"{shards}/train"], fields=["embedding"], batch_size=8).train_dataloader()
    for _ in range(EPOCHS):
        list(loader)
    assert [(epoch, keys) for epoch, keys, _ in record(tmp_path)["batches"]] == [
        (EPOCHS, batch["key"]) for batch in loader
    ]


# --- exact resuming


def gathering(shards: Path, out: Path, processes: int) -> list[str]:
    """Arguments of a run with everything random that gathers the gradients of two batches for a step."""
    yaml = experiment(shards, out, every=2, accumulate_grad_batches=2)
    return ["fit", "-c", yaml, *(TWO if processes == 2 else ()), "--data.init_args.batch_size", str(4 // processes)]


@pytest.fixture(scope="module")
def undisturbed(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By the number of processes."""
    outs = {}
    for processes in (1, 2):
        outs[processes] = out = tmp_path_factory.mktemp("undisturbed")
        ended = forked(*gathering(shards, out, processes), folder=out / "cwd", processes=processes)
        assert ended.status == [0] * processes, ended.printed
    return outs


@pytest.mark.parametrize(
    ("processes", "workers", "checkpoint"),
    [(1, 0, "last"), (1, 2, "saved"), (2, 0, "saved"), (2, 2, "last")],
)
def test_a_killed_run_ends_bit_for_bit_like_one_that_was_not(
    processes: int, workers: int, checkpoint: str, undisturbed: dict[int, Path], shards: Path, tmp_path: Path
) -> None:
    arguments = [*gathering(shards, tmp_path, processes), "--data.init_args.num_workers", str(workers)]
    # five batches an epoch are three steps: killed after batch 8 of 15, when batch 8 has no step yet; `last` is of step
    # 4, after batch 7, and `saved` of the moment before
    killed = forked(
        *arguments, "--trainer.callbacks.init_args.kill_at", "8", "--trainer.callbacks.init_args.save_at", "8",
        folder=tmp_path / "cwd", processes=processes,
    )  # fmt: skip
    assert killed.status == [-9] * processes, killed.printed
    path = tmp_path / f"{checkpoint}.ckpt"
    content = torch.load(path, weights_only=True)
    assert (content["epoch"], content["global_step"]) == (1, 4)
    resumed = forked(*arguments, "--ckpt_path", str(path), folder=tmp_path / "cwd", processes=processes)
    assert resumed.status == [0] * processes, resumed.printed
    for rank in range(processes):
        whole, rest = record(undisturbed[processes], rank), record(tmp_path, rank)
        assert len(whole["batches"]) == 15
        assert rest["batches"] == whole["batches"][7:]  # epoch, keys and losses
        assert identical(rest["weights"], whole["weights"])
    assert identical(weights(tmp_path / "last.ckpt"), weights(undisturbed[processes] / "last.ckpt"))
