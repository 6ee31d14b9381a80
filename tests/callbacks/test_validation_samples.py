"""What is heard and seen while a model trains."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import flow_runs
import tiny
from musegen.callbacks.validation_samples import ValidationSamples
from musegen.checkpoints import save_model
from musegen.models.oobleck import OobleckAutoencoder
from musegen.stages.flow_stage import FlowStage
from runs import stage_1, stage_2


class Logged:
    """A trainer as the callback sees it."""

    sanity_checking = False
    is_global_zero = True
    global_step = 7

    def __init__(self, folder: Path) -> None:
        self.logger = TensorBoardLogger(str(folder), name="run", version=0)


def log(stage: FlowStage, batch: dict, folder: Path) -> EventAccumulator:
    trainer = Logged(folder)
    callback = ValidationSamples(items=2)
    callback.on_validation_batch_end(trainer, stage, None, batch, 0)  # type: ignore[arg-type]
    callback.on_validation_epoch_end(trainer, stage)  # type: ignore[arg-type]
    trainer.logger.experiment.flush()
    events = EventAccumulator(trainer.logger.log_dir)
    events.Reload()
    return events


def build_stage(recipe: dict) -> FlowStage:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser()
    parser.add_subclass_arguments(L.LightningModule, "model")
    return parser.instantiate_classes(parser.parse_object({"model": recipe})).model


def batch() -> dict:
    embedding = torch.nn.functional.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)))
    return {
        "key": ["a", "b", "c"],
        "seed": torch.tensor([1, 2, 3]),
        "caption": ["slow waltz", "fast rock", "jazz"],
        "embedding": embedding,
        "latents": torch.randn(3, 4, 16),
        "seconds_start": torch.zeros(3),
        "seconds_total": torch.ones(3),
    }


def test_stage_1_logs_how_near_its_samples_are(tmp_path: Path) -> None:
    events = log(build_stage(stage_1()), batch(), tmp_path)
    near = events.Scalars("samples/similarity")[0]
    assert near.step == 7
    assert -1 <= near.value <= 1
    assert events.Scalars("samples/similarity_of_others")[0].value != near.value
    assert list((tmp_path / "run" / "version_0").rglob("tensors.tsv"))


def test_stage_2_logs_audio_beside_the_original(tmp_path: Path) -> None:
    save_model(tiny.vae(), tmp_path / "vae", licences=[])
    events = log(build_stage(stage_2(codec=str(tmp_path / "vae"))), batch(), tmp_path)
    assert sorted(events.Tags()["audio"]) == ["originals/a", "originals/b", "samples/a", "samples/b"]
    assert events.Audio("samples/a")[0].sample_rate == tiny.RATE


def test_stage_2_without_a_codec_logs_nothing(tmp_path: Path) -> None:
    assert log(build_stage(stage_2()), batch(), tmp_path).Tags()["audio"] == []


class Halved(ValidationSamples):
    """Keeps the steps that it would sample after."""

    def __init__(self) -> None:
        super().__init__(items=1, every_n_epochs=2)
        self.steps_sampled: list[int] = []

    def _sample(self, stage: FlowStage, batch: dict) -> torch.Tensor:
        assert stage.trainer is not None
        self.steps_sampled.append(stage.trainer.global_step)
        return batch["latents"]


@pytest.mark.parametrize("before", [1, 2, 3])
def test_a_run_that_goes_on_samples_as_often_as_one_that_never_stopped(tmp_path: Path, before: int) -> None:
    save_model(OobleckAutoencoder(4, [1, 2], [4, 4], latent_channels=flow_runs.CHANNELS), tmp_path / "vae", licences=[])
    options: dict = {"train_items": 16, "logger": TensorBoardLogger(str(tmp_path)), "num_sanity_val_steps": 1}
    first, second = Halved(), Halved()
    stage = flow_runs.build(codec=str(tmp_path / "vae"))
    trainer = flow_runs.fit(stage, tmp_path, callbacks=[first], max_epochs=before, **options)
    trainer.save_checkpoint(tmp_path / "part.ckpt")
    stage = flow_runs.build(codec=str(tmp_path / "vae"))
    flow_runs.fit(stage, tmp_path, callbacks=[second], max_epochs=5, ckpt_path=tmp_path / "part.ckpt", **options)
    assert first.steps_sampled + second.steps_sampled == [2, 4]
