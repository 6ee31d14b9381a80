"""A stage in few steps: learned from all the steps of a trained one."""

from __future__ import annotations

import copy
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor

from musegen.flow.distillation import draw_pairs, targets, trajectory
from musegen.flow.execution.compiled import compile_blocks
from musegen.flow.field import Field
from musegen.flow.guidance.base import Guidance
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.guided import GuidedPrediction
from musegen.flow.model import FlowModel
from musegen.flow.noise import training_noise
from musegen.flow.samplers.base import Sampler
from musegen.flow.samplers.dpmpp_2m import DPMSolverPP2M
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.jump import Jump
from musegen.models.jumping import NEW
from musegen.nn.feedforward import zeroed
from musegen.stages.export import licences_of
from musegen.stages.flow_stage import NOISE, FlowStage
from musegen.stages.stable_audio_muq import StableAudioMuQ
from musegen.stages.text2muq import Text2MuQFlow
from musegen.stages.text_states import check_text_states

if TYPE_CHECKING:
    from musegen.interop.initialise import LoadReport


class Distillation(FlowStage, ABC):
    """Learn where the steps of a guided teacher lead, to get there in few; see the two subclasses.

    From an item's noise the teacher goes its whole way, guided, to what the item's condition tells. Of its stops pairs
    are drawn, and the student learns by plain regression to say at the one what leads straight to the other: one
    evaluation without guidance in place of several with it. Nothing is learned from the student's own answers, so there
    is nothing to balance, and the data gives only conditions and lengths. One trajectory serves many pairs.

    The data's latents are not read, so ``val/loss`` is the regression's, in standardised units. Beside it are logged,
    for each number of ``few`` steps, ``val/error_N``, how far the student ends from the teacher (root of the mean
    square, over that of the teacher's result), and ``val/euler_N``, how far the teacher's own Euler method of N steps
    does, which takes twice as many evaluations.

    Source: Boffi, Albergo and Vanden-Eijnden, Flow Map Matching, 2024, https://arxiv.org/abs/2406.07507, for what is
    learned; Luhman and Luhman, Knowledge Distillation in Iterative Generative Models, 2021,
    https://arxiv.org/abs/2101.02388, for the teacher's solutions as targets; Meng et al., On Distillation of Guided
    Diffusion Models, 2022, https://arxiv.org/abs/2210.03142, for guidance as a part of what is distilled.

    Args:
        teacher: the trained stage (a checkpoint or a model folder), whose network the student's is but for the
            embedding of a step's length; the student begins with its weights unless ``pretrained`` says otherwise.
        teacher_sampler: how the teacher goes; a deterministic method.
        teacher_steps: in how many steps, a multiple of each of ``few``.
        teacher_guidance: how strongly it follows its condition, which becomes the student's own.
        few: the numbers of steps that the student is to be good at.
        pairs: how many steps are learned of each trajectory.
        sampler: how `predict` samples the student.
        guidance: of the student, beyond its teacher's; 1, which costs half, for none.
        steps: of the student's sampler.
        pretrained: the student's first weights, as of an earlier run.
        compile: ``torch.compile`` the block that the networks repeat, for training.
        kwargs: of `FlowStage`; conditions are not dropped, and no statistics are measured.
    """

    def __init__(
        self,
        *args: Any,
        teacher: str | None = None,
        teacher_sampler: Sampler | None = None,
        teacher_steps: int = 24,
        teacher_guidance: Guidance | None = None,
        few: Sequence[int] = (1, 2, 4, 8),
        pairs: int = 8,
        sampler: Sampler | None = None,
        guidance: Guidance | None = None,
        steps: int = 4,
        pretrained: str | None = None,
        compile: bool = False,
        **kwargs: Any,
    ) -> None:
        sampler, guidance = sampler or Jump(), guidance or ClassifierFree(1.0)
        super().__init__(*args, sampler=sampler, guidance=guidance, steps=steps, **kwargs)
        if not few or any(count < 1 or teacher_steps % count for count in few) or pairs < 1:
            got = f"{teacher_steps}, {list(few)} and {pairs}"
            raise ValueError(f"expected teacher_steps a multiple of each of few, and pairs of 1 or more, got {got}")
        self.few, self.pairs = list(few), pairs
        self.teacher_sampler = teacher_sampler or DPMSolverPP2M()
        self.teacher_guidance = teacher_guidance or ClassifierFree()
        self.teacher_steps = teacher_steps
        self.teacher_source = teacher
        if teacher is not None:
            self._start_from(teacher)
        # a list keeps its weights out of the checkpoint: they come from where they came from again
        self._teacher: list[FlowModel] = []
        self._compiles = compile
        if pretrained is not None:
            known = self.licences
            self._start_from(pretrained)
            self.licences = sorted({*known, *self.licences})
        self.errors: dict[str, list[Tensor]] = {}
        if compile:
            compile_blocks(self.model.network)

    @property
    def teacher(self) -> FlowModel:
        """The frozen model that the student learns from, on the student's device; loaded when it is first asked for.

        Raises:
            ValueError: if there is none.
        """
        if not self._teacher:
            if self.teacher_source is None:
                raise ValueError("expected `teacher`, a checkpoint or model folder of the trained stage, got none")
            model = copy.deepcopy(self.model)
            _load(model, self.teacher_source)
            if self._compiles:
                compile_blocks(model.network)
            self._teacher = [model.eval().requires_grad_(False)]
        return self._teacher[0].to(self.device)

    def setup(self, stage: str) -> None:
        """See `FlowStage.setup`; all but sampling needs the teacher.

        Raises:
            ValueError: if there is none.
        """
        super().setup(stage)
        if stage != "predict":
            self.teacher.eval()

    def _start_from(self, source: str) -> None:
        report = _load(self.model, source)
        self.licences = list(report.licences)
        rank_zero_info(str(report))

    # --- training

    def on_fit_start(self) -> None:
        """Say which licence the result will carry; the teacher knows the data's scale."""
        self.licences = licences_of(self.licences, self.trainer.datamodule)  # type: ignore[attr-defined]
        check_text_states(self.model, self.trainer.datamodule)  # type: ignore[attr-defined]

    def _step(self, batch: Mapping[str, Any]) -> Tensor:
        return self._regression(batch, self._stops(batch)).mean()

    def _grid(self, device: torch.device | None = None) -> Tensor:
        return torch.linspace(0, 1, self.teacher_steps + 1, dtype=torch.float64, device=device)

    @torch.no_grad()
    def _stops(self, batch: Mapping[str, Any]) -> Tensor:
        """The teacher's trajectories to a batch's conditions, ``[steps + 1, batch, *shape]``."""
        return trajectory(self._field(batch), self._noise(batch), self.teacher_sampler, self._grid())

    def _noise(self, batch: Mapping[str, Any]) -> Tensor:
        data = batch[self.data_key]
        return training_noise(batch["seed"], data.shape[1:], NOISE).to(data.device)

    def _field(self, batch: Mapping[str, Any]) -> Field:
        teacher = self.teacher
        told = teacher.condition(batch)
        return Field(
            GuidedPrediction(teacher.network, teacher.path, told, guidance=self.teacher_guidance), teacher.path
        )

    def _regression(self, batch: Mapping[str, Any], stops: Tensor) -> Tensor:
        """Squared error of each item's predictions, ``[batch]``."""
        begin, end = draw_pairs(batch["seed"], self.teacher_steps, self.few, self.pairs)
        x, times, right = targets(self.model.path, stops, self._grid(stops.device), begin, end)
        condition = self.model.condition(batch)
        condition = condition.map(lambda part: part.repeat(self.pairs, *[1] * (part.ndim - 1)))
        prediction = self.model.network(x, times, condition)
        return (prediction.float() - right).square().flatten(1).mean(1).unflatten(0, begin.shape).mean(0)

    # --- judging

    def on_validation_epoch_start(self) -> None:
        """Begin a new account."""
        super().on_validation_epoch_start()
        self.errors = {}

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """The regression's loss, and how far few steps end from the teacher's."""
        stops = self._stops(batch)
        self.held_out.add(self._regression(batch, stops), None)
        noise, right = stops[0], stops[-1]
        told = self.model.condition(batch)
        student = Field(GuidedPrediction(self.model.network, self.model.path, told), self.model.path)
        for count in self.few:
            times = torch.linspace(0, 1, count + 1, dtype=torch.float64)
            ways = {"error": (Jump(), student), "euler": (Euler(), self._field(batch))}
            for name, (sampler, field) in ways.items():
                missed = (sampler.sample(field, noise, times) - right).square().flatten(1).mean(1)
                self.errors.setdefault(f"{name}_{count}", []).append(missed)
        self.errors.setdefault("scale", []).append(right.square().flatten(1).mean(1))

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's figures."""
        super().on_validation_epoch_end()
        if not self.errors:
            return
        sums = {name: torch.cat(parts).double().sum() for name, parts in self.errors.items()}
        scale = self.all_gather(sums.pop("scale")).sum()  # type: ignore[union-attr]
        for name, total in sums.items():
            error = (self.all_gather(total).sum() / scale).sqrt()  # type: ignore[union-attr]
            self.log(f"val/{name}", error.float(), prog_bar=name == f"error_{max(self.few)}", sync_dist=True)

    test_step = validation_step
    on_test_epoch_start = on_validation_epoch_start
    on_test_epoch_end = on_validation_epoch_end


def _load(model: FlowModel, source: str) -> LoadReport:
    """Load weights into a model that is told a step's length; what they know nothing of begins anew, at zero."""
    from musegen.interop.initialise import load_pretrained

    network: Any = model.network
    zeroed(network.to_step_embed[2])
    return load_pretrained(model, source, may_lack=NEW)


class DistilledStableAudioMuQ(Distillation, StableAudioMuQ):
    """Stage 2 in few steps: an embedding to latents; see `Distillation` and `StableAudioMuQ`.

    Args:
        args: of `StableAudioMuQ`.
        kwargs: of `Distillation` and `StableAudioMuQ`.
    """


class DistilledText2MuQFlow(Distillation, Text2MuQFlow):
    """Stage 1 in few steps: a caption to an embedding; see `Distillation` and `Text2MuQFlow`.

    Args:
        args: of `Text2MuQFlow`.
        kwargs: of `Distillation` and `Text2MuQFlow`.
    """
