"""Hear and see what a model makes of held-out conditions while it trains."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from musegen.stages.flow_stage import FlowStage
from musegen.stages.oobleck_vae import OobleckVAE
from musegen.stages.stable_audio_muq import StableAudioMuQ


class ValidationSamples(L.Callback):
    """Sample the first held-out items after a validation, and log them to TensorBoard.

    Stage 1: the cosine similarity of each sample to its item's own embedding and to the next item's
    (``samples/similarity``, ``samples/similarity_of_others``), and the samples for TensorBoard's projector. Stage 2 and
    the VAE: audio, beside the original as the VAE hears it, logged once. Stage 2 needs its ``codec`` for that, and logs
    nothing without. A run that goes on goes on counting its validations, and logs the originals beside its own samples.

    Args:
        items: how many.
        every_n_epochs: after every so many validation epochs.
        steps: of the sampler; None for the stage's own number.
    """

    def __init__(self, items: int = 4, every_n_epochs: int = 1, steps: int | None = None) -> None:
        if items < 1 or every_n_epochs < 1:
            raise ValueError(f"expected items and every_n_epochs of 1 or more, got {items} and {every_n_epochs}")
        self.items = items
        self.every_n_epochs = every_n_epochs
        self.steps = steps
        self.validations = 0
        self._heard_originals = False
        self._batch: dict[str, Any] | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first items."""
        if batch_idx == 0:
            self._batch = {name: value[: self.items] for name, value in batch.items()}

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Sample and log, on the first process only: while `EMA` has the average in place."""
        batch, self._batch = self._batch, None
        if trainer.sanity_checking or batch is None:
            return
        self.validations += 1
        logger = trainer.logger
        if self.validations % self.every_n_epochs or not isinstance(logger, TensorBoardLogger):
            return
        if not trainer.is_global_zero:
            return
        writer, step = logger.experiment, trainer.global_step
        with torch.inference_mode():
            if isinstance(pl_module, OobleckVAE):
                heard = pl_module.model.decode(pl_module.model.encode(batch["audio"]).mean)
                self._log_audio(writer, batch["key"], heard, batch["audio"], pl_module.model.sample_rate, step)
            elif isinstance(pl_module, StableAudioMuQ):
                if pl_module.codec_folder is not None:
                    original = None if self._heard_originals else pl_module.decode(batch["latents"])
                    heard = pl_module.decode(self._sample(pl_module, batch))
                    self._log_audio(writer, batch["key"], heard, original, pl_module.codec.sample_rate, step)
            elif isinstance(pl_module, FlowStage):
                self._log_embeddings(writer, batch, self._sample(pl_module, batch), step)

    def state_dict(self) -> dict[str, Any]:
        """How many validations there were."""
        return {"validations": self.validations}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on from there."""
        self.validations = state_dict["validations"]

    def _sample(self, stage: FlowStage, batch: dict[str, Any]) -> Tensor:
        options = {} if self.steps is None else {"steps": self.steps}
        return stage.sample(batch, batch["seed"].tolist(), **options)

    def _log_audio(
        self, writer: Any, keys: list[str], heard: Tensor, original: Tensor | None, rate: int, step: int
    ) -> None:
        for index, key in enumerate(keys):
            writer.add_audio(f"samples/{key}", heard[index].float().mean(0).clamp(-1, 1), step, rate)
            if original is not None and not self._heard_originals:
                writer.add_audio(f"originals/{key}", original[index].float().mean(0).clamp(-1, 1), step, rate)
        self._heard_originals = True

    @staticmethod
    def _log_embeddings(writer: Any, batch: dict[str, Any], sampled: Tensor, step: int) -> None:
        sampled, true = sampled.float(), batch["embedding"].float()
        similarity = torch.nn.functional.cosine_similarity
        writer.add_scalar("samples/similarity", similarity(sampled, true).mean(), step)
        if len(true) > 1:
            writer.add_scalar("samples/similarity_of_others", similarity(sampled, true.roll(1, 0)).mean(), step)
        both = torch.cat([sampled, true])
        labels = [f"sampled: {text}" for text in batch["caption"]] + [f"true: {text}" for text in batch["caption"]]
        writer.add_embedding(both, metadata=labels, global_step=step, tag="embeddings")
