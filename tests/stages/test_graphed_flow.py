"""Stages of flows whose steps are replayed: the same training, the same randomness, the same resuming."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from flow_runs import DIM, FRAMES, Items, build, fit, items
from flow_runs import collate as joined
from musegen.callbacks.ema import EMA
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.minilm import MiniLM
from musegen.data.items import collate
from musegen.data.module import ShardData
from musegen.flow.noise import hash_seed
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.stages.flow_stage import FlowStage
from musegen.stages.regression import Text2MuQRegression
from musegen.stages.text2muq import Text2MuQFlow
from tiny import TEXT, TinyEncoder
from vae_runs import flat


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Record steps on the CPU too, where a recording computes them again."""
    monkeypatch.setattr("musegen.stages.flow_stage.obstacle_to_graphs", lambda module: "")


OPTIONS: dict[str, Any] = {"condition_dropout": 0.3, "embedding_noise": 0.3, "cut_to": [FRAMES, FRAMES // 2]}


@pytest.mark.usefixtures("anywhere")
def test_replayed_steps_train_as_written_ones(tmp_path: Path) -> None:
    run: dict[str, Any] = {"max_epochs": 2, "gradient_clip_val": 0.5, "limit_val_batches": 0}
    written, replayed = build(**OPTIONS), build(**OPTIONS, graphed=True)
    logged = [float(fit(stage, tmp_path, **run).callback_metrics["train/loss"]) for stage in (written, replayed)]
    assert written.graphs is None
    assert replayed.graphs is not None
    assert {kind.split("latents ")[1].split("]")[0] for kind in replayed.graphs.recordings} == {
        f"[16, 4, {FRAMES}", f"[16, 4, {FRAMES // 2}"
    }  # fmt: skip
    torch.testing.assert_close(flat(replayed), flat(written), rtol=1e-5, atol=1e-6)
    assert (flat(written) - flat(build())).abs().mean() > 1e-3
    assert logged[0] == pytest.approx(logged[1], rel=1e-5)


@pytest.mark.usefixtures("anywhere")
def test_a_replayed_run_goes_on_as_if_nothing_had_been(tmp_path: Path) -> None:
    def trained(callbacks: list[Any], **options: Any) -> FlowStage:
        stage = build(**OPTIONS, graphed=True)
        trainer = L.Trainer(
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=2,
            default_root_dir=tmp_path, callbacks=callbacks, limit_val_batches=0, num_sanity_val_steps=0,
        )  # fmt: skip
        trainer.fit(stage, datamodule=Items(), **options)
        return stage

    keep = ModelCheckpoint(tmp_path, filename="{step}", every_n_train_steps=8, save_top_k=-1)
    whole = trained([EMA(), keep])
    resumed = trained([EMA()], ckpt_path=str(tmp_path / "step=8.ckpt"))
    torch.testing.assert_close(flat(resumed), flat(whole), rtol=0, atol=0)


def captions(count: int) -> list[dict[str, Any]]:
    """Embeddings that a caption's two words tell."""
    words = ["low", "high", "soft", "loud"]
    generator = torch.Generator().manual_seed(0)
    told = torch.nn.functional.normalize(torch.randn(4, 4, DIM, generator=generator), dim=2)
    pairs = [(number % 4, number // 4 % 4) for number in range(count)]
    return [
        {"key": str(number), "seed": hash_seed(0, number), "caption": f"{words[a]} {words[b]}", "embedding": told[a, b]}
        for number, (a, b) in enumerate(pairs)
    ]


class Captioned(L.LightningDataModule):
    licences = ("CC0-1.0",)

    def __init__(self, rows: list[dict[str, Any]] | None = None) -> None:
        super().__init__()
        self.rows = rows or captions(64)

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.rows, 16, collate_fn=collate)  # type: ignore[arg-type]

    def val_dataloader(self) -> list[Any]:
        return []


def stage_1(kind: type, graphed: bool = False, **options: Any) -> FlowStage:
    torch.manual_seed(0)
    network = EmbeddingTransformer(32, 1, 2, DIM, 2, TEXT)
    conditioning = Conditioning({"caption": CaptionConditioner(TinyEncoder(), cache_size=100)}, ["caption"])
    options = {"optimizer": lambda groups: torch.optim.AdamW(groups, lr=3e-3), "graphed": graphed} | options
    return kind(network, conditioning, **options)


def flow(network: Any, conditioning: Any, **options: Any) -> Text2MuQFlow:
    from musegen.flow.paths.rectified import RectifiedFlow

    return Text2MuQFlow(network, conditioning, RectifiedFlow(), **options)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("kind", [flow, Text2MuQRegression], ids=["flow", "regression"])
def test_captions_are_encoded_before_the_graph(kind: Any, tmp_path: Path) -> None:
    def trained(graphed: bool, **options: Any) -> FlowStage:
        stage = stage_1(kind, graphed, **options)
        trainer = L.Trainer(
            accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=3,
            default_root_dir=tmp_path, callbacks=[EMA()], enable_checkpointing=False,
        )  # fmt: skip
        trainer.fit(stage, datamodule=Captioned())
        return stage

    written, replayed = trained(False), trained(True)
    assert replayed.graphs is not None
    assert len(replayed.graphs.recordings) == 1
    torch.testing.assert_close(flat(replayed), flat(written), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [flow, Text2MuQRegression], ids=["flow", "regression"])
def test_stage_1_starts_from_the_average_of_a_checkpoint(kind: Any, tmp_path: Path) -> None:
    def made(**options: Any) -> FlowStage:
        torch.manual_seed(0)
        encoder = MiniLM()
        network = EmbeddingTransformer(32, 1, 2, DIM, 2, encoder.dim)
        return kind(network, Conditioning({"caption": CaptionConditioner(encoder)}, ["caption"]), **options)

    rows = [{**row, "text": np.eye(3, 384, dtype=np.float16)} for row in captions(32)]
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_steps=2,
        default_root_dir=tmp_path, callbacks=[EMA()], enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(made(), datamodule=Captioned(rows))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    average = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    again = made(pretrained=str(tmp_path / "last.ckpt"))
    for name, tensor in again.state_dict().items():
        torch.testing.assert_close(tensor, average[name], rtol=0, atol=0)
    assert float(again.model.statistics.std.mean()) != 1.0


def test_a_mask_that_hides_nothing_is_left_out() -> None:
    data = ShardData(["nowhere"])
    mask = torch.ones(4, FRAMES, dtype=torch.bool)
    data.trainer = SimpleNamespace(training=True)  # type: ignore[assignment]
    assert "mask" not in data.on_before_batch_transfer({"mask": mask}, 0)
    data.trainer = SimpleNamespace(training=False)  # type: ignore[assignment]
    assert "mask" in data.on_before_batch_transfer({"mask": mask}, 0)
    data.trainer = SimpleNamespace(training=True)  # type: ignore[assignment]
    mask[1, -1] = False
    assert "mask" in data.on_before_batch_transfer({"mask": mask}, 0)


def test_an_embedding_is_moved_but_keeps_its_length() -> None:
    batch = joined(items(64, 0))
    moved = build(embedding_noise=0.5).altered(batch)["embedding"]
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(64))
    near = (moved * batch["embedding"]).sum(1)
    assert 0.8 < float(near.mean()) < 0.97
    with pytest.raises(ValueError, match="embedding_noise of 0 or more"):
        build(embedding_noise=-1.0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a CUDA GPU")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_graph_trains_as_written(tmp_path: Path, compiled: bool) -> None:
    run: dict[str, Any] = {"max_epochs": 4, "limit_val_batches": 0, "accelerator": "gpu", "precision": "bf16-mixed"}
    written, replayed = build(**OPTIONS), build(**OPTIONS, graphed=True, compile=compiled)
    for stage in (written, replayed):
        fit(stage, tmp_path, **run, gradient_clip_val=0.5)
    assert replayed.graphs is not None
    torch.testing.assert_close(flat(replayed).cpu(), flat(written).cpu(), rtol=0.05, atol=0.02)
