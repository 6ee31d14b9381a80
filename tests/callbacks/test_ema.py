"""The moving average: its value, its place in checkpoints, and that resuming continues it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from musegen.callbacks.ema import EMA


class Line(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.register_buffer("mean", torch.zeros(1))
        self.register_buffer("coarse", torch.zeros(1, dtype=torch.bfloat16))
        self.register_buffer("count", torch.zeros(1, dtype=torch.int64))
        self.uncopyable = threading.Lock()
        self.weights: list[float] = []
        self.validated: list[tuple[float, float]] = []
        self.at_the_end: list[float] = []

    def on_fit_start(self) -> None:
        self.mean.fill_(7.0)

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        return (self.linear(batch[0]) - 3).square().mean()

    def on_train_batch_end(self, *args: object) -> None:
        self.count += 1
        self.weights.append(self.linear.weight.item())

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        self.validated.append((self.linear.weight.item(), self.mean.item()))

    def on_validation_epoch_end(self) -> None:
        self.at_the_end.append(self.linear.weight.item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


class SaveDuringValidation(L.Callback):
    """A callback that saves at the end of validation, and stands before the average's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sampled: list[float] = []

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.sampled.append(pl_module.linear.weight.item())  # type: ignore[union-attr, operator]

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / "during.ckpt")


def fit(ema: EMA, folder: Path, steps: int, ckpt: str | None = None, first: Sequence[L.Callback] = ()) -> Line:
    L.seed_everything(0, verbose=False)
    loader = DataLoader(TensorDataset(torch.full((6, 1), 0.5)), batch_size=1)
    model = Line()
    keep = ModelCheckpoint(folder, filename="{step}", every_n_train_steps=3, save_top_k=-1)
    trainer = L.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, callbacks=[*first, ema, keep], enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, loader, loader, ckpt_path=ckpt)
    return model


def test_it_is_the_warmed_up_average_and_validation_sees_it(tmp_path: Path) -> None:
    L.seed_everything(0, verbose=False)
    start = Line().linear.weight.item()
    model = fit(EMA(decay=0.9), tmp_path, 6)
    average = model.weights[0]  # the first update copies
    for update, weight in enumerate(model.weights[1:], start=1):
        decay = min(0.9, (1 + update) / (10 + update))
        average = decay * average + (1 - decay) * weight
    assert model.validated[0] == (pytest.approx(start), 7.0)  # the sanity check already sees measured statistics
    assert model.validated[-1][0] == pytest.approx(average, rel=1e-5)
    assert abs(average - model.weights[-1]) > 1e-3


def test_all_of_a_validation_sees_the_average_and_no_checkpoint_mistakes_it(tmp_path: Path) -> None:
    saver = SaveDuringValidation(tmp_path)
    model = fit(EMA(decay=0.9), tmp_path, 6, first=[saver])
    seen = [weight for weight, _ in model.validated]
    assert model.at_the_end == saver.sampled
    assert model.at_the_end[-1] == seen[-1]
    saved = torch.load(tmp_path / "during.ckpt", weights_only=False)
    assert saved["state_dict"]["linear.weight"].item() == seen[-1]
    assert saved["current_model_state"]["linear.weight"].item() == model.weights[-1]


def test_resuming_continues_the_average(tmp_path: Path) -> None:
    whole = fit(EMA(decay=0.9), tmp_path, 6)
    fit(EMA(decay=0.9), tmp_path, 3)
    rest = fit(EMA(decay=0.9), tmp_path, 6, ckpt=str(tmp_path / "step=3.ckpt"))
    assert rest.weights == whole.weights[3:]
    assert rest.validated[-1] == whole.validated[-1]


def test_a_decay_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="decay"):
        EMA(decay=1.0)
