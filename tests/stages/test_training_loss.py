"""Losses reach log and progress bar, and no step waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch

from flow_runs import Items, build, fit
from musegen.callbacks.ema import EMA
from musegen.stages.training_loss import TrainingLoss


class Steps(L.Callback):
    """Notes what each step logged and showed."""

    def __init__(self) -> None:
        self.logged: list[float] = []
        self.shown: list[float] = []

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.logged.append(float(trainer.callback_metrics["train/loss"]))
        self.shown.append(float(trainer.progress_bar_metrics["loss"]))
        assert "train/loss" not in trainer.progress_bar_metrics


def test_the_bar_shows_what_is_logged(tmp_path: Path) -> None:
    steps = Steps()
    fit(build(), tmp_path, callbacks=[steps])
    assert len(set(steps.logged)) == 8
    assert steps.shown == steps.logged


class Device:
    """A loss on a device, whose copies to the host arrive when they are told to."""

    device = torch.device("cuda")

    def __init__(self, value: float) -> None:
        self.value = value

    def detach(self) -> Device:
        return self

    def cpu(self) -> Host:
        return Host(self.value)


class Host:
    """Memory of the host that a device writes to."""

    def __init__(self, value: float) -> None:
        self.value, self.coming = value, value

    def pin_memory(self) -> Host:
        return self

    def clone(self) -> float:
        return self.value

    def copy_(self, loss: Device, non_blocking: bool) -> None:
        assert non_blocking
        self.coming = loss.value


def test_of_a_device_the_bar_shows_what_has_arrived() -> None:
    shown: list[Any] = []

    class Module:
        def log(self, name: str, value: Any, prog_bar: bool = False, **options: Any) -> None:
            if prog_bar:
                assert options["logger"] is False
                shown.append(value)
            else:
                assert name == "train/loss"

    losses, module = TrainingLoss(), Module()
    for value in (1.0, 2.0, 3.0):
        losses.log(module, Device(value), 1)  # type: ignore[arg-type]
    losses._arrived.value = 3.0  # type: ignore[union-attr]
    losses.log(module, Device(4.0), 1)  # type: ignore[arg-type]
    assert shown == [1.0, 1.0, 1.0, 3.0]


class Impatient(L.Callback):
    """Lets nothing wait for the device between the ends of two steps."""

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_: Any) -> None:
        torch.cuda.set_sync_debug_mode("error" if 8 <= trainer.global_step < 12 else "default")


@pytest.fixture
def patient() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("graphed", [False, True])
def test_no_step_waits_for_the_device(graphed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data, hooks, optimizer, clipping and average included."""
    whole = Items.train_dataloader

    def pinned(self: Items) -> torch.utils.data.DataLoader[Any]:
        loader = whole(self)
        return torch.utils.data.DataLoader(
            loader.dataset, loader.batch_size, collate_fn=loader.collate_fn, pin_memory=True
        )

    monkeypatch.setattr(Items, "train_dataloader", pinned)
    stage = build(condition_dropout=0.1, embedding_noise=0.3, cut_to=[16, 8], graphed=graphed)
    fit(
        stage, tmp_path, callbacks=[EMA(), Impatient()], accelerator="gpu", devices=1, precision="bf16-mixed",
        gradient_clip_val=1.0, log_every_n_steps=1000, limit_val_batches=0, train_items=256,
    )  # fmt: skip
    assert stage.global_step == 16
