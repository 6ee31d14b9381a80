"""Where a run ends is kept, whatever ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from flow_runs import build, fit
from musegen.callbacks.ema import EMA
from musegen.callbacks.keep_last import KeepLast


class StopAt(L.Callback):
    """Ends a run as a clock would: after one of its batches."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer: L.Trainer, *rest: Any) -> None:
        trainer.should_stop = trainer.global_step >= self.step


ENDS: dict[str, tuple[dict[str, Any], list[L.Callback], int]] = {
    "steps": ({"max_steps": 13, "max_epochs": -1}, [], 13),
    "steps that are saved anyway": ({"max_steps": 10, "max_epochs": -1}, [], 10),
    "a clock": ({"max_steps": 1000, "max_epochs": -1}, [StopAt(12)], 12),
    "an epoch": ({"max_epochs": 1}, [], 8),
    "half an accumulated step": ({"max_epochs": 1, "accumulate_grad_batches": 3}, [], 3),
}


@pytest.mark.parametrize(("options", "beside", "end"), ENDS.values(), ids=ENDS)
def test_the_last_step_is_kept(tmp_path: Path, options: dict[str, Any], beside: list[L.Callback], end: int) -> None:
    keep = KeepLast(tmp_path, filename="{step}", save_last=True, save_top_k=1, every_n_train_steps=5)
    trainer = fit(
        build(), tmp_path, callbacks=[EMA(decay=0.9), keep, *beside], enable_checkpointing=True, val_check_interval=1.0,
        **options,
    )  # fmt: skip
    assert trainer.global_step == end
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == ["last.ckpt", f"step={end}.ckpt"]
    kept = torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert kept["global_step"] == end


def test_lightning_alone_keeps_an_earlier_one(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, save_last=True, every_n_train_steps=5)
    fit(build(), tmp_path, callbacks=[keep], enable_checkpointing=True, max_steps=13, max_epochs=-1)
    assert torch.load(tmp_path / "last.ckpt", weights_only=False)["global_step"] == 10, "`KeepLast` is needed no more"
