"""A run that ends when its time is over, its learning rate having fallen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
    **options: Any,
) -> Any:
    clock = Clock(seconds, slower_from)
    monkeypatch.setattr(fit_minutes, "perf_counter", clock)
    begin = callback.on_train_start

    def watched(trainer: Any, module: Any) -> None:
        clock.trainer = trainer
        begin(trainer, module)

    callback.on_train_start = watched  # type: ignore[method-assign]
    stage = build(
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
    again = FitMinutes(50.0, after=3, over=4)
    again.load_state_dict(torch.load(tmp_path / "end.ckpt", weights_only=True)["callbacks"]["FitMinutes"])
    assert run(tmp_path, monkeypatch, again, 2.0, max_steps=100_000).global_step == 28


def test_it_sees_that_a_step_takes_longer_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callback = FitMinutes(1.0, after=3, over=4)
    assert (
        run(tmp_path, monkeypatch, callback, 2.0, slower_from=10, max_steps=100_000).global_step == callback.steps == 19
    )


def test_it_may_end_later_than_the_steps_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, FitMinutes(1.0, after=0, over=2), 2.0, max_steps=10).global_step == 28
    with pytest.raises(ValueError, match="minutes above 0"):
        FitMinutes(0)
