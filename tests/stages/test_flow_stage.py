"""Training a flow model: what is logged, what it may depend on, and that it learns."""

from __future__ import annotations

from pathlib import Path

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from flow_runs import CHANNELS, DIM, FRAMES, Items, build, collate, fit, items
from musegen.callbacks.ema import EMA
from musegen.flow.guidance.classifier_free import ClassifierFree


def test_it_learns_under_the_floor_and_uses_its_condition(tmp_path: Path) -> None:
    stage = build()
    trainer = fit(stage, tmp_path, train_items=1024, max_epochs=6, check_val_every_n_epoch=6)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    print({name: round(value, 4) for name, value in logged.items()})
    assert logged["val/loss"] < logged["val/floor"]
    assert logged["val/gain_sigmas"] > 5
    assert logged["val/explained"] == pytest.approx(1 - logged["val/loss"] / logged["val/floor"])
    assert stage.model.statistics.mean.mean() == pytest.approx(5.0, abs=0.1)
    assert stage.licences == ["CC-BY-4.0"]


def test_a_sample_is_what_it_was_told(tmp_path: Path) -> None:
    stage = build(steps=20, guidance=ClassifierFree(1.0))
    fit(stage, tmp_path, max_epochs=30, check_val_every_n_epoch=30)
    told = torch.eye(DIM)[:CHANNELS]
    sampled = stage.eval().sample({"embedding": told}, list(range(CHANNELS)))
    means = (sampled.mean(2) - 5.0) / 0.9
    assert (means - torch.eye(CHANNELS)).abs().mean() < 0.25, means


def test_the_loss_does_not_depend_on_how_items_are_batched() -> None:
    stage = build().eval()
    stage.model.statistics.set(5.0, 0.5)
    for parameter in stage.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    rows = items(8, 3)
    whole = stage._losses(collate(rows), stage.model.condition(collate(rows)))
    parts = [stage._losses(collate([row]), stage.model.condition(collate([row]))) for row in rows[::-1]]
    assert whole.std() > 0.1
    assert torch.allclose(whole.flip(0), torch.cat(parts), rtol=1e-5)


def test_conditions_are_dropped_by_item() -> None:
    stage = build(condition_dropout=0.5)
    for parameter in stage.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    batch = collate(items(64, 4))
    condition = stage.model.condition(batch)
    full = stage._losses(batch, condition)
    dropped = stage._losses(batch, condition, drop=torch.ones(64, dtype=torch.bool))
    stage.log = lambda *args, **kwargs: None  # type: ignore[method-assign]
    mixed = stage.training_step(batch, 0)
    assert not torch.isclose(mixed, full.mean())
    assert not torch.isclose(mixed, dropped.mean())


def test_a_frozen_pattern_does_not_train(tmp_path: Path) -> None:
    stage = build(freeze=["network.transformer.*"])
    before = {name: parameter.clone() for name, parameter in stage.model.named_parameters()}
    fit(stage, tmp_path)
    moved = {name for name, parameter in stage.model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved
    assert not any(name.startswith("network.transformer.") for name in moved)
    with pytest.raises(ValueError, match="nothing"):
        build(freeze=["nothing.*"])


def test_a_checkpoint_carries_recipe_licences_and_scale(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, filename="end", every_n_train_steps=8)
    stage = build()
    fit(stage, tmp_path, callbacks=[EMA(), keep], enable_checkpointing=True)
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)
    assert saved["musegen"]["licences"] == ["CC-BY-4.0"]
    assert saved["musegen"]["model"]["class_path"] == "musegen.flow.model.FlowModel"
    assert saved["state_dict"]["model.statistics.mean"].mean() == pytest.approx(5.0, abs=0.1)
    assert not torch.equal(
        saved["state_dict"]["model.network.transformer.project_in.weight"],
        saved["current_model_state"]["model.network.transformer.project_in.weight"],
    )


def test_resuming_keeps_the_scale_and_goes_on(tmp_path: Path) -> None:
    keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=8, save_top_k=-1)
    fit(build(), tmp_path, callbacks=[keep], enable_checkpointing=True)
    stage = build()
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=2,
        default_root_dir=tmp_path, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(stage, datamodule=Items(), ckpt_path=str(tmp_path / "step=8.ckpt"))
    assert trainer.global_step == 16
    assert stage.model.statistics.mean.mean() == pytest.approx(5.0, abs=0.1)


def test_a_stage_without_codec_says_what_it_lacks() -> None:
    with pytest.raises(ValueError, match="codec"):
        build().decode(torch.zeros(1, CHANNELS, FRAMES))
