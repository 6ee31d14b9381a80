"""What both stages of musegen share: training a flow model, judging it against floors, sampling it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from musegen.conditioning.conditioning import Conditioning
from musegen.flow.execution.base import Execution
from musegen.flow.execution.choice import AUTO, prepare_execution
from musegen.flow.execution.compiled import compile_blocks
from musegen.flow.execution.eager import Eager
from musegen.flow.guidance.base import Guidance
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel
from musegen.flow.noise import training_noise, training_uniform
from musegen.flow.paths.base import Path
from musegen.flow.samplers.base import Sampler
from musegen.flow.samplers.euler import Euler
from musegen.flow.times import TimeDistribution, Uniform
from musegen.models.base import FlowNetwork
from musegen.stages.data_statistics import DataStatistics
from musegen.stages.export import export_entry, licences_of
from musegen.stages.graphed import GraphedLosses, obstacle_to_graphs
from musegen.stages.paired_losses import PairedLosses
from musegen.stages.resumable import ResumableStage
from musegen.stages.text_states import check_text_states
from musegen.stages.training_loss import TrainingLoss

NOISE, TIME, DROP = range(3)  # streams of an item's randomness


class FlowStage(ResumableStage, ABC):
    """Learn p(data | condition) by flow matching; the subclasses are `Text2MuQFlow` and `StableAudioMuQ`.

    All randomness of a training step comes from the items' own seeds (run seed, epoch and key: the data module makes
    them), so the same global batch gives the same loss on one process and on many.

    Logged: ``train/loss``; ``val/loss`` (true conditions), ``val/loss_blind`` (the same network, noise and times with
    permuted conditions), ``val/gain`` and ``val/gain_sigmas`` (their difference, and in standard errors), ``val/floor``
    (the Gaussian floor, see `GaussianFloor`) and ``val/explained`` (1 − loss / floor).

    Args:
        network: what predicts.
        conditioning: what it is told.
        path: between noise and data.
        times: at which times it learns.
        condition_dropout: share of items whose tokens are replaced by the null condition, for guidance.
        normalise_output: give samples unit length.
        standardise: measure mean and standard deviation when training begins from scratch, and learn in that scale.
        sampler: how `predict` and validation sample; not part of the checkpoint.
        guidance: how strongly samples follow their condition.
        steps: steps of the sampler.
        lane: items per execution when sampling: a number, or ``auto``; None for the device's own default.
        execution: how `predict` runs the network; None for what suits the device: CUDA graphs on a GPU, as written
            elsewhere. Not part of the checkpoint.
        optimizer: over the trainable parameters; biases and norms get no weight decay.
        scheduler: of the learning rate, counted in optimizer steps.
        pretrained: start from this checkpoint (musegen, stable-audio-tools or diffusers): every key is loaded or named.
        freeze: patterns over parameter names (``network.transformer.*``) that do not train.
        compile: ``torch.compile`` the block that the network repeats, for training.
        graphed: on one CUDA GPU, replay forward and backward pass, with all that is drawn for them, as one graph.
    """

    data_key: str
    """The key of a batch that holds what is learned."""

    def __init__(
        self,
        network: FlowNetwork,
        conditioning: Conditioning,
        path: Path,
        times: TimeDistribution | None = None,
        condition_dropout: float = 0.1,
        normalise_output: bool = False,
        standardise: bool = True,
        sampler: Sampler | None = None,
        guidance: Guidance | None = None,
        steps: int = 50,
        lane: int | str | None = None,
        execution: Execution | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        pretrained: str | None = None,
        freeze: Sequence[str] = (),
        compile: bool = False,
        graphed: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= condition_dropout < 1:
            raise ValueError(f"expected condition_dropout in [0, 1), got {condition_dropout}")
        self.model = FlowModel(network, conditioning, path, normalise_output=normalise_output)
        self.times = times or Uniform()
        self.condition_dropout = condition_dropout
        self.standardise = standardise
        self.sampler = sampler or Euler()
        self.guidance = guidance or ClassifierFree()
        self.steps = steps
        self.lane = lane
        self.execution = execution
        self._prepared: Execution | None = None
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.pretrained = pretrained
        self.graphed = graphed
        self.graphs: GraphedLosses | None = None
        self.licences: list[str] = []
        self.statistics = DataStatistics()
        self.held_out = PairedLosses()
        self.training_loss = TrainingLoss()
        if pretrained is not None:
            self._start_from(pretrained)
        self._freeze(freeze)
        if compile:
            compile_blocks(self.model.network)

    def _start_from(self, source: str) -> None:
        from musegen.interop.initialise import load_pretrained

        report = load_pretrained(self.model, source)
        self.licences = list(report.licences)
        rank_zero_info(str(report))

    def _freeze(self, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            matched = [parameter for name, parameter in self.model.named_parameters() if fnmatch(name, pattern)]
            if not matched:
                raise ValueError(f"freeze: no parameter is named like {pattern!r}")
            for parameter in matched:
                parameter.requires_grad_(False)

    # --- training

    def on_fit_start(self) -> None:
        """Measure the data, unless these weights already know its scale; say which licence the result will carry."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self.licences = licences_of(self.licences, data)
        check_text_states(self.model, data)
        fresh = self.standardise and self.pretrained is None and self.trainer.ckpt_path is None
        self.statistics.measure(self, fresh=fresh)

    def on_train_start(self) -> None:
        """See whether steps can be graphed; otherwise say why they are not."""
        super().on_train_start()
        self.graphs = None
        if not self.graphed:
            return
        obstacle = obstacle_to_graphs(self)
        if obstacle:
            rank_zero_info(f"graphed: steps run as written, {obstacle}")
        else:
            self.graphs = GraphedLosses(list(self.model.parameters()))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """Mean squared error of the prediction, in standardised units."""
        batch = self.altered(batch)
        loss = self._step(batch) if self.graphs is None else self._replayed(self.graphs, batch)
        self.training_loss.log(self, loss, len(batch["seed"]))
        return loss

    def altered(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A batch as training is to see it: as it is, unless a stage does something to it."""
        return batch

    def _step(self, batch: Mapping[str, Any]) -> Tensor:
        drop = training_uniform(batch["seed"], DROP) < self.condition_dropout
        return self._losses(batch, self.model.condition(batch), drop=drop).mean()

    def _replayed(self, graphs: GraphedLosses, batch: Mapping[str, Any]) -> Tensor:
        """The same from a graph; what does not learn, as a text encoder, runs before it."""
        kept = {name: batch[name] for name in (self.data_key, "seed", "mask") if name in batch}
        told = {**self.model.conditioning.tensors(batch), **kept}
        names = tuple(told)  # the recording holds on to what it closes over

        def losses(*parts: Tensor) -> Tensor:
            return self._step(dict(zip(names, parts, strict=True))).unsqueeze(0)

        kind = " ".join(f"{name} {list(part.shape)}" for name, part in told.items())
        return graphs(kind, losses, *told.values())[0]

    def _losses(self, batch: Mapping[str, Any], condition: Any, drop: Tensor | None = None) -> Tensor:
        data, seeds = batch[self.data_key], batch["seed"]
        time = self.times.sample(training_uniform(seeds, TIME))
        noise = training_noise(seeds, data.shape[1:], NOISE).to(data)
        return self.model.losses(data, condition, time, noise, mask=batch.get("mask"), drop=drop)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Decay matrices, not biases and norms; step the schedule with the optimizer."""
        trainable = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in trainable if parameter.ndim > 1]},
            {"params": [parameter for parameter in trainable if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = self.optimizer([group for group in groups if group["params"]])
        if self.scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }

    # --- judging

    def on_validation_epoch_start(self) -> None:
        """Begin a new account of held-out losses."""
        self.held_out.clear()

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Losses with true and with permuted conditions, on the same noise and times."""
        condition = self.model.condition(batch)
        true = self._losses(batch, condition)
        blind = self._losses(batch, condition[torch.roll(torch.arange(len(true)), 1)]) if len(true) > 1 else None
        self.held_out.add(true, blind)

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's losses beside both floors."""
        floor = self.statistics.floor
        for name, value in self.held_out.summary(self.all_gather, floor).items():
            self.log(f"val/{name}", value, prog_bar=name in ("loss", "gain_sigmas"), sync_dist=True)

    test_step = validation_step
    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end

    # --- sampling

    def on_predict_start(self) -> None:
        """Get the network ready to be run as was asked; as written under autocast, whose casts no graph keeps."""
        choice = self.execution or AUTO
        if "mixed" in str(self.trainer.precision) and not isinstance(choice, Eager):
            choice = "eager"
            rank_zero_info(f"execution: autocast ({self.trainer.precision}) cannot be recorded: running as written")
        self._prepared = prepare_execution(choice, self.model.network).execution

    def on_predict_end(self) -> None:
        """Go back to running it as written: recordings would not see that weights are replaced."""
        self._prepared = None

    @torch.inference_mode()
    def sample(self, batch: Mapping[str, Any], seeds: Sequence[int] | None, **options: Any) -> Tensor:
        """Sample one item for each seed; options as of `FlowModel.sample` override the constructor's."""
        settings = {
            "sampler": self.sampler,
            "guidance": self.guidance,
            "steps": self.steps,
            "lane": self.lane,
            "execution": self._prepared,
        }
        condition = self.model.condition(batch, one_by_one=True)  # so that its bits do not depend on the neighbours
        return self.model.sample(condition, seeds, **{**settings, **options})

    @abstractmethod
    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Sample the items of a batch; the result carries their keys."""

    # --- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Carry what an export needs: the model's recipe and the licences of its data."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["musegen"] = export_entry(self.model, self.licences)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the licences of what was learned before."""
        super().on_load_checkpoint(checkpoint)
        self.licences = list(checkpoint.get("musegen", {}).get("licences", []))
