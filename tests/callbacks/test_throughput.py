"""How fast training went, by a clock that each part of it moves by what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from musegen.callbacks import throughput
from musegen.callbacks.throughput import Throughput

FETCH, STEP, VALIDATION, CHECKPOINT = 1.0, 3.0, 100.0, 1000.0


class Clock:
    """Stands still until something takes time."""

    now = 50.0

    def perf_counter(self) -> float:
        return self.now


class Fetched(torch.utils.data.Dataset[dict[str, Any]]):
    """Items that take time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def __len__(self) -> int:
        return 24

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.clock.now += FETCH / 2
        return {"seed": torch.tensor(index)}


class Timed(L.LightningModule):
    """Takes time to learn, to be judged and to be saved; keeps what is logged."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock, self.number = clock, torch.nn.Parameter(torch.ones(1))
        self.read: list[tuple[str, float]] = []

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(Fetched(self.clock), batch_size=2)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader([{"seed": torch.tensor(0)}])  # type: ignore[arg-type]

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.clock.now += STEP
        return self.number.square().sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.clock.now += VALIDATION

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.clock.now += CHECKPOINT

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def log(self, name: str, value: Any, *arguments: Any, **options: Any) -> None:  # type: ignore[override]
        self.read.append((name, float(value)))


@pytest.mark.parametrize(
    "options",
    [{"limit_val_batches": 0}, {"val_check_interval": 3}, {"val_check_interval": 3, "num_sanity_val_steps": 1}],
)
@pytest.mark.parametrize("saved", [None, 5, 2])
def test_only_training_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], saved: int | None
) -> None:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    module = Timed(clock)
    callbacks: list[L.Callback] = [Throughput(every_n_steps=4, skip=2)]
    if saved is not None:
        callbacks.append(ModelCheckpoint(tmp_path, every_n_train_steps=saved))
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=1,
        enable_checkpointing=saved is not None, callbacks=callbacks, **{"num_sanity_val_steps": 0, **options},
    )  # fmt: skip
    trainer.fit(module)
    speeds = [value for name, value in module.read if name == "speed/items_per_second"]
    waits = [value for name, value in module.read if name == "speed/data_wait"]
    assert len(speeds) == len(waits) == 3
    if saved is None and "val_check_interval" not in options:
        assert speeds == pytest.approx([2 / (FETCH + STEP)] * 3)
        assert waits == pytest.approx([FETCH / (FETCH + STEP)] * 3)
    assert all(2 / (FETCH + STEP) <= speed <= 2 / STEP for speed in speeds)  # the wait after a pause is not counted
    assert all(0 <= wait <= FETCH / (FETCH + STEP) + 1e-9 for wait in waits)
    assert clock.now > 50 + 12 * (FETCH + STEP) - 1e-9


def test_readings_fall_on_steps_where_gradients_are_accumulated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(throughput, "time", clock)
    module = Timed(clock)
    steps: list[int] = []
    monkeypatch.setattr(module, "log", lambda name, value: steps.append(module.trainer.global_step))
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=1,
        enable_checkpointing=False, callbacks=[Throughput(every_n_steps=1, skip=1)], accumulate_grad_batches=5,
    )  # fmt: skip
    trainer.fit(module)
    assert steps == [2, 2, 3, 3]  # 12 batches: the last step is of two
