"""The baseline: it learns the mean, answers without chance, and stands in a pipeline where stage 1 does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from musegen.checkpoints import load_model, save_model
from musegen.flow.model import FlowModel
from musegen.flow.regression import RegressionModel
from musegen.pipeline import TextToMusic
from musegen.stages.regression import Text2MuQRegression


def told(captions: list[str], model: FlowModel) -> Any:
    return model.condition({"caption": captions}, one_by_one=True)


def test_its_answers_have_no_chance_in_them() -> None:
    model = tiny.regression()
    condition = told(["a slow waltz", "a fast polka", "a slow waltz"], model)
    answers = model.sample(condition, [1, 2, 3])
    assert torch.equal(answers[0], answers[2])
    assert (answers[0] - answers[1]).norm() > 0.02
    assert torch.allclose(answers.norm(dim=1), torch.ones(3))
    assert torch.equal(answers[1:2], model.sample(told(["a fast polka"], model), [9]))


def test_it_learns_the_mean_of_all_answers() -> None:
    """Two captions, each with two opposite answers around its own mean: the best loss is their variance."""
    torch.manual_seed(0)
    flow = tiny.text2muq()
    stage = Text2MuQRegression(flow.network, flow.conditioning, normalise_output=False, standardise=False)
    assert sum(p.numel() for p in stage.parameters()) == sum(p.numel() for p in flow.parameters())
    means = torch.randn(2, tiny.EMBEDDING)
    spread = 0.5 * torch.randn(2, tiny.EMBEDDING)
    data = torch.cat([means + spread, means - spread])
    captions = ["a slow waltz", "a fast polka"] * 2
    batch = {"caption": captions, "embedding": data, "seed": torch.arange(4)}
    optimizer = torch.optim.Adam(stage.parameters(), lr=3e-3)
    for _ in range(300):
        optimizer.zero_grad()
        loss = stage._losses(batch, stage.model.condition(batch)).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() == pytest.approx(spread.square().mean().item(), rel=0.05)
    answers = stage.generate(captions[:2], [0, 1])
    assert (answers - means).norm() < 0.2 * means.norm()


def test_it_stands_in_a_pipeline(tmp_path: Path) -> None:
    folder = tiny.save_pipeline(tmp_path / "model")
    save_model(tiny.regression(), folder / "text2muq", licences=["CC0-1.0"])
    loaded = load_model(folder / "text2muq", FlowModel, tiny.TRUST)
    assert isinstance(loaded, RegressionModel)
    music = TextToMusic.load(folder, device="cpu", trust=tiny.TRUST)
    first, second = music.generate(["a slow waltz"], seeds=[1, 2])
    assert torch.equal(first.embedding, second.embedding)
    assert not torch.equal(first.audio, second.audio), "stage 2 still has its own noise"


def test_it_refuses_music_to_start_from() -> None:
    model = tiny.regression()
    with pytest.raises(ValueError, match="start: a regression model"):
        model.sample(told(["a"], model), [1], start=torch.zeros(1, tiny.EMBEDDING), start_time=0.5)
