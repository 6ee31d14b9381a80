"""A run that ends when its time is over, its learning rate having fallen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch

from flow_runs import build, fit
from musegen.callbacks import fit_minutes
from musegen.callbacks.fit_minutes import FitMinutes
from musegen.stages.schedules import WarmUpCosine


class Clock:
    """Goes on by so many seconds with each step, and by twice as many from one step on."""

    def __init__(self, step: float, slower_from: int) -> None:
        self.step, self.slower_from, self.trainer = step, slower_from, None

    def __call__(self) -> float:
        done = 0 if self.trainer is None else self.trainer.global_step
        return 100.0 + self.step * (done + max(0, done - self.slower_from))


def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    callback: FitMinutes,
    seconds: float,
    slower_from: int = 1000,
    stage: L.LightningModule | None = None,
    **options: Any,
) -> Any:
    clock = Clock(seconds, slower_from)
    monkeypatch.setattr(fit_minutes, "perf_counter", clock)
    begin = callback.on_train_start

    def watched(trainer: Any, module: Any) -> None:
        clock.trainer = trainer
        begin(trainer, module)

    callback.on_train_start = watched  # type: ignore[method-assign]
    stage = stage or build(
        optimizer=lambda groups: torch.optim.AdamW(groups, lr=1e-3),
        scheduler=lambda optimizer: WarmUpCosine(optimizer, 10_000, 2, floor=0.1),
    )
    return fit(stage, tmp_path, callbacks=[callback], max_epochs=-1, limit_val_batches=0, **options)


def test_it_ends_in_time_with_a_fallen_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = FitMinutes(1.0, after=3, over=4)
    trainer = run(tmp_path, monkeypatch, callback, 2.0, max_steps=100_000)
    assert trainer.global_step == callback.steps == 28  # 60 s less 6 %, at 2 s a step
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4, rel=0.05)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    again = run(
        tmp_path, monkeypatch, FitMinutes(1.0, after=3, over=4), 9.0, max_steps=100_000, ckpt_path=tmp_path / "end.ckpt"
    )
    assert again.global_step == again.lr_scheduler_configs[0].scheduler.steps == 28
    assert again.optimizers[0].param_groups[0]["lr"] == pytest.approx(1e-4, rel=0.05)


def test_it_sees_that_a_step_takes_longer_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = FitMinutes(1.0, after=3, over=4)
    assert (
        run(tmp_path, monkeypatch, callback, 2.0, slower_from=10, max_steps=100_000).global_step == callback.steps == 19
    )


def test_it_may_end_later_than_the_steps_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, FitMinutes(1.0, after=0, over=2), 2.0, max_steps=10).global_step == 28
    with pytest.raises(ValueError, match="minutes above 0"):
        FitMinutes(0)


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, at: int) -> Path:
    """The checkpoint of a run of one minute that was cut off, its steps taking so long."""
    part = run(tmp_path, monkeypatch, FitMinutes(1.0, after=3, over=4), seconds, stage=Cut(at), max_steps=100_000)
    part.save_checkpoint(tmp_path / "part.ckpt")
    return tmp_path / "part.ckpt"


class Alone(L.LightningModule):
    """One number that learns to be 0."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.number.square().sum()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters(), lr=1e-3)
        return [optimizer], [{"scheduler": WarmUpCosine(optimizer, 10_000, 2, floor=0.1), "interval": "step"}]


class Cut(Alone):
    """Stops with a step, or runs to its end."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__()
        self.at = at

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        if self.global_step == self.at:
            self.trainer.should_stop = True
            return -1
        return None


class Opposed(Alone):
    """Two optimizers that step one after the other, each with its schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.other = torch.nn.Parameter(torch.ones(1))
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> None:  # type: ignore[override]
        both: Any = zip((self.number, self.other), self.optimizers(), self.lr_schedulers(), strict=True)  # type: ignore
        for number, optimizer, schedule in both:
            optimizer.zero_grad()
            self.manual_backward(number.square().sum())
            optimizer.step()
            schedule.step()

    def configure_optimizers(self) -> Any:
        both = [torch.optim.AdamW([number], lr=1e-3) for number in (self.number, self.other)]
        return both, [WarmUpCosine(optimizer, 10_000, 2, floor=0.1) for optimizer in both]


def test_a_run_that_was_cut_off_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before_any = interrupted(tmp_path, monkeypatch, 2.0, at=5)  # 10 s of 56.4 s are gone
    callback = FitMinutes(1.0, after=3, over=4)
    options: dict[str, Any] = {"stage": Cut(), "max_steps": 100_000, "ckpt_path": before_any}
    assert run(tmp_path, monkeypatch, callback, 1.0, **options).global_step == callback.steps == 5 + 46
    once = interrupted(tmp_path, monkeypatch, 2.0, at=9)  # it had seen that 28 steps would do
    callback = FitMinutes(1.0, after=0, over=2)
    options |= {"stage": Cut(), "ckpt_path": once}
    assert run(tmp_path, monkeypatch, callback, 1.0, **options).global_step == callback.steps == 9 + 38


def test_other_minutes_are_looked_at_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = run(tmp_path, monkeypatch, FitMinutes(1.0, after=3, over=4), 2.0, stage=Alone(), max_steps=100_000)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    options: dict[str, Any] = {"stage": Alone(), "max_steps": 100_000, "ckpt_path": tmp_path / "end.ckpt"}
    callback = FitMinutes(2.0, after=3, over=4)  # in all: 112.8 s, of which 56 s are gone
    assert run(tmp_path, monkeypatch, callback, 2.0, **options).global_step == callback.steps == 56


def test_a_schedule_counts_the_steps_of_its_own_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = run(tmp_path, monkeypatch, FitMinutes(1.0, after=4, over=4), 2.0, stage=Opposed(), max_steps=100_000)
    assert trainer.global_step == 28
    for config, optimizer in zip(trainer.lr_scheduler_configs, trainer.optimizers, strict=True):
        assert config.scheduler.steps == 14  # type: ignore[attr-defined]
        assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4, rel=0.05)
