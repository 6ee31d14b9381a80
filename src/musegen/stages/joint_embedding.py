"""The joint embedder's training: music and its captions to one place, with what is known of the music in both."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from musegen.audio import resample
from musegen.conditioning.pretrained_text import PretrainedText
from musegen.data.rendering.genres import GENRES
from musegen.data.rendering.instruments import HAND, KIT, NAMES
from musegen.interop.initialise_whole import load_whole
from musegen.models.fact_heads import FactHeads
from musegen.models.joint_embedder import JointEmbedder
from musegen.stages.export import KEY, export_entry, licences_of
from musegen.stages.gathering import gather_items
from musegen.stages.resumable import ResumableStage
from musegen.stages.training_loss import TrainingLoss

COLDEST = math.log(100.0)
"""The largest logarithm that similarities are scaled by ("Learning Transferable Visual Models From Natural Language
Supervision", 2021, https://arxiv.org/abs/2103.00020)."""


class JointEmbedding(ResumableStage):
    """Learn one space of music and captions, by telling pairs from all other pairs of the global batch.

    To tell the captions of one batch apart takes little of what they say: the rest would be dropped, and no model that
    is told the vector could follow it. So linear maps, the same ones for both sides, read tempo, key, mode, instruments
    and genre off every vector, and whoever reads best from it is what training is for.

    A batch holds ``audio [batch, 2, samples]`` of at least the embedder's window, ``caption`` and ``facts``.

    Logged: ``train/loss``, its terms ``train/contrast``, ``train/facts`` (read off the music) and ``train/told`` (read
    off the captions); on held-out pairs ``val/loss`` (the contrast), among all of them ``val/top1`` and ``val/top10``
    (a caption's own music among the nearest), and what the linear maps get right, of music and of the first, complete
    caption: ``val/audio_tempo`` (within 4 %), ``val/text_key`` and so on.

    Args:
        embedder: what learns; exported as the model.
        text: the frozen encoder whose token states the text tower reads.
        instruments: names told apart; by default those of rendered music.
        genres: likewise; by default the families of rendered music.
        temperature: that similarities are divided by at first; it is learned.
        fact_weight: of reading facts off the music.
        caption_weight: of reading the same facts off the captions, where these tell them.
        sample_rate: of the batches' audio, Hz.
        pretrained: start from these weights: a model folder, or a checkpoint's average.
        optimizer: over everything that learns; biases and norms get no weight decay.
        scheduler: of the learning rate, counted in optimizer steps.
        compile: ``torch.compile`` both towers for training.
    """

    def __init__(
        self,
        embedder: JointEmbedder,
        text: PretrainedText,
        instruments: Sequence[str] | None = None,
        genres: Sequence[str] | None = None,
        temperature: float = 0.07,
        fact_weight: float = 0.3,
        caption_weight: float = 0.3,
        sample_rate: int = 44100,
        pretrained: str | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < temperature <= 1:
            raise ValueError(f"temperature: expected above 0, at most 1, got {temperature}")
        if text.dim != embedder.text_dim:
            wanted = f"{text.dim}, the width of {type(text).__name__}'s states"
            raise ValueError(f"text_dim: expected {wanted}, got {embedder.text_dim}")
        self.model = embedder
        self.text = text
        named = sorted({*NAMES, KIT, HAND}) if instruments is None else instruments
        families = sorted({genre.family for genre in GENRES.values()}) if genres is None else genres
        self.facts = FactHeads(embedder.dim, named, families)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.fact_weight, self.caption_weight = fact_weight, caption_weight
        self.sample_rate = sample_rate
        self.pretrained = pretrained
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.licences: list[str] = []
        self.training_loss = TrainingLoss()
        self.held_out: list[dict[str, Tensor]] = []
        if pretrained is not None:
            report = load_whole(embedder, pretrained)
            self.licences = list(report.licences)
            rank_zero_info(str(report))
        if compile:
            for tower in (embedder.rhythm, embedder.harmony, embedder.text):
                tower.compile()

    # --- training

    def on_fit_start(self) -> None:
        """Take over the licences of the data and of the text encoder."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self.licences = licences_of({*self.licences, self.text.licence}, data)

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Contrast, and the facts read off both sides."""
        vectors = self._vectors(batch)
        marks = [self._same(batch[name]) for name in ("caption", "key") if name in batch]
        contrast = self._contrast(*vectors, torch.stack(marks, 1))
        targets = self.facts.targets(batch["facts"], self.device)
        heard, told = (self.facts.losses(self.facts(side), targets) for side in vectors)
        heard, told = torch.stack([*heard.values()]).sum(), torch.stack([*told.values()]).sum()
        loss = contrast + self.fact_weight * heard + self.caption_weight * told
        items = len(batch["caption"])
        self.training_loss.log(self, loss, items)
        terms = {"contrast": contrast, "facts": heard, "told": told, "temperature": (-self.log_scale).exp()}
        self.log_dict({f"train/{name}": value for name, value in terms.items()}, batch_size=items)
        return loss

    def _vectors(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        """Of the music and of its captions, ``[batch, dim]`` each."""
        mono = resample(batch["audio"].float().mean(1), self.sample_rate, self.model.sample_rate)
        if mono.shape[1] < self.model.window:
            given = mono.shape[1] / self.model.sample_rate
            raise ValueError(f"samples: expected at least {self.model.seconds} s of audio, got {given:.4g} s")
        states, mask = self.text.encode_together(batch["caption"])
        return self.model.embed_audio(mono[:, : self.model.window]), self.model.embed_text(states, mask)

    def _same(self, texts: Sequence[str]) -> Tensor:
        """A number for each text, equal where the words are."""
        return torch.tensor([zlib.crc32(text.encode()) for text in texts], device=self.device)

    def _contrast(self, audio: Tensor, text: Tensor, said: Tensor) -> Tensor:
        """Symmetric InfoNCE against the global batch; what has a mark of ``said`` in common is no negative.

        So neither are pieces with the very same caption, nor two parts of one piece.

        "Representation Learning with Contrastive Predictive Coding", 2018, https://arxiv.org/abs/1807.03748.
        """
        every_audio, every_text = self._gathered(audio), self._gathered(text)
        first = self.global_rank * len(audio) if len(every_audio) > len(audio) else 0
        return self._contrast_with(every_audio, every_text, self._gathered(said), audio, text, said, first)

    def _contrast_with(
        self,
        every_audio: Tensor,
        every_text: Tensor,
        every_said: Tensor,
        audio: Tensor,
        text: Tensor,
        said: Tensor,
        first: int = 0,
    ) -> Tensor:
        """The same for some of all pairs, those from ``first`` on."""
        own = torch.arange(len(audio), device=audio.device) + first
        twin = (said.view(len(said), 1, -1) == every_said.view(1, len(every_said), -1)).any(2)
        twin[torch.arange(len(audio)), own] = False
        losses = []
        with torch.autocast(audio.device.type, enabled=False):
            scale = self.log_scale.clamp(max=COLDEST).exp()
            for here, there in ((audio, every_text), (text, every_audio)):
                scores = (scale * here.float() @ there.float().T).masked_fill(twin, -math.inf)
                losses.append(F.cross_entropy(scores, own))
        return torch.stack(losses).mean()

    def _gathered(self, here: Tensor) -> Tensor:
        """The same of all processes, in their order, with gradients to where they came from."""
        if self.trainer.world_size == 1:
            return here
        every: Any = self.all_gather(here, sync_grads=here.requires_grad)
        return every.flatten(0, 1)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Decay matrices, not biases and norms; step the schedule with the optimizer."""
        trainable = [parameter for parameter in self.parameters() if parameter.requires_grad]
        optimizer = self.optimizer(
            [
                {"params": [parameter for parameter in trainable if parameter.ndim > 1]},
                {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
            ]
        )
        if self.scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }

    # --- judging

    def on_validation_epoch_start(self) -> None:
        """Begin a new account of held-out pairs."""
        self.held_out.clear()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Keep the vectors and the facts."""
        audio, text = self._vectors(batch)
        kept = {"audio": audio, "text": text, "said": self._same(batch["caption"])}
        self.held_out.append(kept | self.facts.targets(batch["facts"], self.device))

    def on_validation_epoch_end(self) -> None:
        """Look for each caption's music among all; see what the linear maps read."""
        if not self.held_out:
            return
        every = {name: torch.cat([part[name] for part in self.held_out]) for name in self.held_out[0]}
        self.held_out.clear()
        every = {name: gather_items(self, tensor.detach()) for name, tensor in every.items()}
        pairs = (every["audio"], every["text"], every["said"])
        figures = {"loss": self._contrast_with(*pairs, *pairs)}
        scores = every["text"] @ every["audio"].T
        better = (scores > scores.diagonal()[:, None]) & (every["said"][:, None] != every["said"])
        figures |= {f"top{count}": (better.sum(1) < count).float().mean() for count in (1, 10)}
        for side in ("audio", "text"):
            for name, hits in self.facts.hits(self.facts(every[side]), every).items():
                if len(hits):
                    figures[f"{side}_{name}"] = hits.mean()
        for name, value in figures.items():
            self.log(f"val/{name}", value, prog_bar=name in ("loss", "top10"), sync_dist=True)

    test_step = validation_step
    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end

    # --- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Carry what an export needs: the embedder's recipe and the licences of its data."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[KEY] = export_entry(self.model, self.licences)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the licences of what was learned before."""
        super().on_load_checkpoint(checkpoint)
        self.licences = list(checkpoint.get(KEY, {}).get("licences", []))
