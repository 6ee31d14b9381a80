"""A tiny run under the Trainer that tells what it saw; as a script, the same run in several processes."""

from __future__ import annotations

import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from little_shards import DIM
from musegen.data.module import ShardData
from musegen.stages.resumable import ResumableStage


class Witness(ResumableStage):
    """A linear model that notes the keys of every batch. Its buffer makes DDP's processes meet in validation too."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(DIM, 1)
        self.register_buffer("offset", torch.ones(1))
        self.seen: dict[str, list[list[str]]] = {"train": [], "val": [], "predict": []}

    def _loss(self, batch: dict[str, Any]) -> torch.Tensor:
        target = (batch["seed"] % 7).float() + self.offset
        return (self.linear(batch["embedding"]).squeeze(1) - target).square().mean()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> torch.Tensor:
        self.seen["train"].append(batch["key"])
        return self._loss(batch)

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.seen["val"].append(batch["key"])
        self._loss(batch)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        self.seen["predict"].append(batch["key"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


class SaveEverywhere(ModelCheckpoint):
    """A checkpoint after every step, after every batch, and at the end of every validation."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "{step}", every_n_train_steps=1, save_top_k=-1)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        number = len(pl_module.seen["train"])  # type: ignore[arg-type]
        trainer.save_checkpoint(Path(str(self.dirpath)) / f"batch={number}.ckpt")

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(Path(str(self.dirpath)) / f"val-step={trainer.global_step}.ckpt")


def run(
    what: str,
    data: ShardData,
    folder: Path | None = None,
    resume: Path | None = None,
    quiet: bool = True,
    **arguments: Any,
) -> Witness:
    """Fit, validate or predict, and give the witness."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    chosen = {
        "accelerator": "cpu",
        "devices": 1,
        "max_epochs": 2,
        "num_sanity_val_steps": 0,
        "use_distributed_sampler": False,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        **arguments,
    }
    module = Witness()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if quiet else "default")
        callbacks: list[L.Callback] = [] if folder is None else [SaveEverywhere(folder)]
        trainer = L.Trainer(**chosen, enable_checkpointing=folder is not None, callbacks=callbacks)
        if what == "fit":
            trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else str(resume), weights_only=False)
        else:
            trainer.predict(module, datamodule=data, return_predictions=False)
    return module


def main(shards: str, out: str) -> None:
    """In each of two processes: a whole run with two workers, the rest of it again without, a prediction."""
    folder, two = Path(out), {"devices": 2, "strategy": "ddp"}
    splits = {"train": [shards], "val": [shards], "predict": [shards]}
    told: dict[str, Any] = {}

    def data(workers: int) -> ShardData:
        return ShardData(**splits, batch_size=2, num_workers=workers, seed=1)  # type: ignore[arg-type]

    whole = run("fit", data(2), folder / "checkpoints", **two)
    told["whole"], told["weight"] = whole.seen, whole.linear.weight.tolist()
    rest = run("fit", data(0), resume=folder / "checkpoints" / "step=4.ckpt", **two)
    told["rest"], told["rest_weight"] = rest.seen, rest.linear.weight.tolist()
    told["predict"] = run("predict", data(0), **two).seen
    rank = torch.distributed.get_rank()
    (folder / f"rank{rank}.json").write_text(json.dumps(told))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
