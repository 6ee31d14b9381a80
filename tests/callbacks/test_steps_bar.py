"""What a run that ends after a number of steps shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch.utils.data import DataLoader

from musegen.callbacks.steps_bar import StepsBar
from runs import forked

ROOT = Path(__file__).parents[2]


class Small(L.LightningModule):
    """One number that learns to be 0."""

    def __init__(self) -> None:
        super().__init__()
        self.number = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return self.number.square().sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Longer(L.Callback):
    """Moves the end of a run."""

    def on_train_batch_end(self, trainer: L.Trainer, *arguments: Any) -> None:  # type: ignore[override]
        trainer.fit_loop.epoch_loop.max_steps = 7


@pytest.mark.parametrize(
    ("options", "callbacks", "ended", "said"),
    [
        ({"max_steps": 5, "max_epochs": -1}, [], (5, 5), "Epoch 2"),
        ({"max_steps": 5}, [Longer()], (7, 7), "Epoch 3"),
        ({"max_steps": 3, "accumulate_grad_batches": 2}, [], (3, 3), "Epoch 2"),
        ({"max_epochs": 2}, [], (2, 2), "Epoch 1/1 "),
    ],
)
def test_steps_are_counted_where_they_end_a_run(
    tmp_path: Path, options: dict[str, Any], callbacks: list[L.Callback], ended: tuple[int, int], said: str
) -> None:
    bar = StepsBar(leave=True)
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, enable_model_summary=False,
        default_root_dir=tmp_path, callbacks=[*callbacks, bar], **options,
    )  # fmt: skip
    seen: list[tuple[Any, Any, str]] = []
    stop = bar.teardown

    def watched(*arguments: Any, **options: Any) -> None:
        task = bar.train_progress_bar
        seen.append((task.completed, task.total, task.description))
        stop(*arguments, **options)

    bar.teardown = watched  # type: ignore[method-assign]
    trainer.fit(Small(), DataLoader([1.0, 2.0]))  # type: ignore[arg-type]
    assert seen[0][:2] == ended
    assert said in seen[0][2]


def test_a_fit_says_nothing_that_nobody_can_act_upon(tmp_path: Path) -> None:
    data = [f"--data.init_args.{split}=[{ROOT}/data/tiny/audio]" for split in ("train", "val")]
    quick = ["--trainer.max_steps=2", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=1"]
    small = ["--data.init_args.samples=2048", "--data.init_args.batch_size=2", "--data.init_args.num_workers=0"]
    config = str(ROOT / "configs" / "experiment" / "small_vae.yaml")
    ended = forked("fit", "-c", config, *data, *quick, *small, folder=tmp_path)
    assert ended.status == [0], ended.printed
    assert "2/2" in ended.printed
    for noise in ("/-2", "treespec", "logging interval", "TPU", "Tip:"):
        assert noise not in ended.printed, ended.printed
