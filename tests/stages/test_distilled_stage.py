"""A trained stage in few steps: what it begins as, that it comes nearer to its teacher, and that runs go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from flow_runs import CHANNELS, DIM, FRAMES, Items, build, collate, fit, items
from musegen.callbacks.ema import EMA
from musegen.checkpoints import load_model, save_model
from musegen.cli import main
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.jump import Jump
from musegen.models.jumping import JumpingDiffusionTransformer
from musegen.stages.distillation import DistilledStableAudioMuQ


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    stage = build()
    fit(stage, folder, max_epochs=10, check_val_every_n_epoch=10)
    save_model(stage.model, folder / "model", licences=["CC-BY-SA-4.0"])
    return folder / "model"


def distilled(teacher: Path | None, seed: int = 0, **options: Any) -> DistilledStableAudioMuQ:
    torch.manual_seed(seed)
    network = JumpingDiffusionTransformer(CHANNELS, FRAMES, dim=32, depth=2, heads=2, condition_dim=16, vector_dim=0)
    conditioning = Conditioning({"muq": EmbeddingConditioner(DIM, tokens=4, dim=16)}, ["muq"])
    options = {"optimizer": lambda groups: torch.optim.AdamW(groups, lr=3e-3)} | options
    told = None if teacher is None else str(teacher)
    return DistilledStableAudioMuQ(
        network, conditioning, RectifiedFlow(), teacher=told, teacher_steps=8, few=[1, 2, 4], pairs=4, **options
    )


def test_it_begins_as_its_teacher_and_comes_nearer_to_it_in_few_steps(teacher: Path, tmp_path: Path) -> None:
    stage = distilled(teacher)
    told = torch.nn.functional.normalize(torch.randn(3, DIM, generator=torch.Generator().manual_seed(0)))
    plain = load_model(teacher, FlowModel)
    options: dict[str, Any] = {"seeds": [1, 2, 3], "sampler": Jump(), "steps": 3, "guidance": ClassifierFree(1.0)}
    before = stage.eval().sample({"embedding": told}, **options)
    options["sampler"] = Euler()
    euler = plain.eval().sample(plain.condition({"embedding": told}, one_by_one=True), **options)
    assert before.std() > 0.1
    assert torch.allclose(before, euler, atol=1e-5)  # on a straight path a jump is a step along the velocity
    trainer = fit(stage.train(), tmp_path, max_epochs=6, check_val_every_n_epoch=6)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    print({name: round(value, 4) for name, value in logged.items()})
    for count, share in ((1, 0.6), (2, 0.9)):
        assert logged[f"val/error_{count}"] < share * logged[f"val/euler_{count}"]
    assert stage.licences == ["CC-BY-4.0", "CC-BY-SA-4.0"]
    assert torch.equal(stage.model.statistics.mean, plain.statistics.mean)


def test_resuming_changes_nothing(teacher: Path, tmp_path: Path) -> None:
    def run(stage: DistilledStableAudioMuQ, resume: str | None, *more: L.Callback) -> DistilledStableAudioMuQ:
        trainer = L.Trainer(
            logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=2, accelerator="cpu",
            default_root_dir=tmp_path, enable_checkpointing=bool(more), callbacks=[EMA(), *more],
        )  # fmt: skip
        trainer.fit(stage, datamodule=Items(train_items=64), ckpt_path=resume)
        return stage

    keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=4, save_top_k=-1)
    whole = run(distilled(teacher), None, keep)
    rest = run(distilled(teacher, seed=5), str(tmp_path / "step=4.ckpt"))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, rest.state_dict()[name]), name
    assert not any("teacher" in name for name in whole.state_dict())
    main(["convert", str(tmp_path / "step=8.ckpt"), str(tmp_path / "exported")])
    exported = load_model(tmp_path / "exported", FlowModel)
    assert isinstance(exported.network, JumpingDiffusionTransformer)
    again = distilled(teacher, seed=5, pretrained=str(tmp_path / "exported"))  # a further link
    assert torch.equal(
        again.model.state_dict()["network.to_step_embed.2.weight"],
        exported.state_dict()["network.to_step_embed.2.weight"],
    )
    assert not again.teacher.state_dict()["network.to_step_embed.2.weight"].any()


def test_an_items_loss_does_not_depend_on_its_neighbours(teacher: Path) -> None:
    stage = distilled(teacher)
    torch.nn.init.normal_(stage.model.network.to_step_embed[2].weight, std=0.1)  # type: ignore[operator,union-attr]
    rows = items(6, 3)

    def losses(some: list[dict[str, Any]]) -> torch.Tensor:
        batch = collate(some)
        return stage._regression(batch, stage._stops(batch))

    whole, parts = losses(rows), torch.cat([losses([row]) for row in rows])
    assert whole.std() > 1e-3
    assert torch.allclose(whole, parts, rtol=1e-4)


def test_a_samples_bits_do_not_depend_on_its_neighbours(teacher: Path) -> None:
    stage = distilled(teacher).eval()
    torch.nn.init.normal_(stage.model.network.to_step_embed[2].weight, std=0.3)  # type: ignore[operator,union-attr]
    told, seeds = torch.eye(DIM)[:5], [7, 8, 9, 10, 11]
    together = stage.sample({"embedding": told}, seeds, lane=2)
    alone = [stage.sample({"embedding": told[[item]]}, [seeds[item]], lane=2) for item in range(5)]
    assert together.std() > 0.1
    assert torch.equal(together, torch.cat(alone))
    other = stage.sample({"embedding": told}, seeds, lane=2, sampler=Euler())
    assert not torch.allclose(together, other, atol=1e-2)  # the length of a step is seen
    assert stage.guidance.config == ClassifierFree(1.0).config


def test_what_is_missing_is_said(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected `teacher`"):
        fit(distilled(None), tmp_path)
    for judged in ("validate", "test"):  # against a network that knows nothing any student would look bad
        with pytest.raises(ValueError, match="expected `teacher`"):
            distilled(None).setup(judged)
    student = distilled(teacher, codec=str(tmp_path))
    with pytest.raises(ValueError, match=r"config\.json"):
        student.setup("predict")
    assert not student._teacher  # no second network in memory where none is needed
    with pytest.raises(ValueError, match="multiple"):
        DistilledStableAudioMuQ(
            JumpingDiffusionTransformer(CHANNELS, FRAMES, dim=32, depth=1, heads=2, condition_dim=16, vector_dim=0),
            Conditioning({"muq": EmbeddingConditioner(DIM, tokens=4, dim=16)}, ["muq"]),
            RectifiedFlow(), teacher_steps=10, few=[4],
        )  # fmt: skip
    model = load_model(teacher, FlowModel).eval()
    with pytest.raises(ValueError, match="jump"):
        model.sample(model.condition({"embedding": torch.eye(DIM)[:1]}), [0], sampler=Jump(), steps=2)
