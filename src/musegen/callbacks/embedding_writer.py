"""Write what stage 1 predicts as shards, which stage 2 reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import BasePredictionWriter
from lightning.pytorch.utilities import rank_zero_info

from musegen.data.sample import PREDICTED, Sample
from musegen.data.shard_writer import ShardWriter


class EmbeddingWriter(BasePredictionWriter):
    """Write shards of predicted embeddings, every process its own.

    Args:
        folder: where they go; made if it is missing.
        samples_per_shard: a shard is written when it is full.
    """

    def __init__(self, folder: str, samples_per_shard: int = 1000) -> None:
        super().__init__(write_interval="batch")
        self.folder = Path(folder)
        self.samples_per_shard = samples_per_shard
        self._writer: ShardWriter | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Look into the folder, before any process writes into it.

        Raises:
            ValueError: if the folder holds shards already, of however many processes.
        """
        there = sorted(self.folder.glob("index*.json")) if stage == "predict" else ()
        if there:
            raise ValueError(f"{self.folder}: expected a folder without shards, got one with {there[0].name}")

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's part of the folder."""
        part = f"rank{trainer.global_rank:04d}" if trainer.world_size > 1 else ""
        self._writer = ShardWriter(self.folder, {"source": PREDICTED}, self.samples_per_shard, part)

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: dict[str, Any],
        batch_indices: Sequence[int] | None,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        """Write a batch's items."""
        assert self._writer is not None
        licence = " AND ".join(getattr(pl_module, "licences", [])) or None
        embeddings = prediction["embedding"].float().cpu().numpy()
        for key, caption, seed, embedding in zip(
            prediction["key"], prediction["caption"], prediction["seed"].tolist(), embeddings, strict=True
        ):
            facts = {"captions": [caption], "seed": seed, "source": PREDICTED, "licence": licence}
            self._writer.write(Sample(key, facts, embedding=embedding))

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave no part of a shard behind."""
        if self._writer is not None:
            self._writer.drop()

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write what is left, and the index."""
        if self._writer is not None:
            self._writer.close()
            rank_zero_info(f"embeddings are in {self.folder}")
