"""What a pipeline's folder may hold beside its three parts: a baseline, and what embedded its music."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import tiny
from musegen.checkpoints import load_model, save_model
from musegen.cli import main
from musegen.conditioning.base import Embedder
from musegen.conditioning.joint import Joint
from musegen.conditioning.spectral import SpectralEmbedder
from musegen.flow.regression import RegressionModel
from musegen.generation.baseline import Baseline
from musegen.generation.folder import read_embedder, read_pipeline, write_pipeline
from musegen.models.joint_embedder import JointEmbedder
from musegen.pipeline import TextToMusic
from musegen.plugins import choose

CPU = torch.device("cpu")
JOINT = {"class_path": "musegen.conditioning.joint.Joint", "init_args": {"model": "joint"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tiny.save_pipeline(tmp_path / "model")
    save_model(tiny.regression(), folder / "regression", licences=["CC0-1.0"])
    return folder


def test_a_baseline_has_one_answer_to_a_prompt(folder: Path) -> None:
    baseline = Baseline.load(folder, tiny.EMBEDDING, CPU, tiny.TRUST)
    assert baseline is not None
    answers = baseline.answer(["a slow waltz", "a fast polka", "a slow waltz"])
    assert answers.shape == (3, tiny.EMBEDDING)
    assert torch.equal(answers[0], answers[2])
    assert (answers[0] - answers[1]).norm() > 0.02
    model = tiny.regression()
    expected = model.sample(model.condition({"caption": ["a fast polka"]}), [3])
    assert torch.equal(baseline.answer("a fast polka"), expected)
    music = TextToMusic.load(folder, "cpu", trust=tiny.TRUST)
    assert not torch.equal(music.embed("a slow waltz")[0], answers[0]), "making music does not use it"


def test_a_folder_without_a_baseline_or_with_another_model_in_its_place(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"regression: expected a regression to stage 1's .* 31 numbers, got 32$"):
        Baseline.load(folder, 31, CPU, tiny.TRUST)
    save_model(tiny.text2muq(), folder / "regression", licences=[])
    with pytest.raises(ValueError, match="expected a RegressionModel"):
        Baseline.load(folder, tiny.EMBEDDING, CPU, tiny.TRUST)
    shutil.rmtree(folder / "regression")
    assert Baseline.load(folder, tiny.EMBEDDING, CPU, tiny.TRUST) is None


def test_what_embedded_the_music_is_written_and_read(folder: Path) -> None:
    assert read_embedder(folder) is None
    for embedder in ("spectral", SpectralEmbedder(version=1).config):
        write_pipeline(folder, **tiny.PIPELINE, variable_length=True, embedder=embedder)
        assert read_embedder(folder) == embedder
        assert choose(read_embedder(folder) or "", Embedder, "musegen.conditioning").dim == 512
    assert read_pipeline(folder)["variable_length"] is True
    assert TextToMusic.load(folder, "cpu", trust=tiny.TRUST).chain.variable_length
    (folder / "pipeline.json").unlink()
    assert read_embedder(folder) is None


def test_an_embedder_inside_the_folder_is_found_wherever_it_lies(folder: Path) -> None:
    write_pipeline(folder, **tiny.PIPELINE, embedder=JOINT)
    with pytest.raises(ValueError, match="embedder: expected the model folder joint beside it, got none"):
        read_embedder(folder)
    embedder = JointEmbedder(dim=16, channels=1, depth=0, text_depth=1)
    save_model(embedder, folder / "joint", licences=["CC0-1.0"])
    moved = folder.rename(folder.with_name("moved"))
    found = choose(read_embedder(moved) or "", Embedder, "musegen.conditioning")
    assert isinstance(found, Joint)
    assert found.folder == moved / "joint"
    assert (found.dim, found.licence) == (16, "CC0-1.0")


def test_a_wrong_embedder_is_named(folder: Path) -> None:
    said = read_pipeline(folder)
    (folder / "pipeline.json").write_text(json.dumps(said | {"embedder": [1]}))
    with pytest.raises(ValueError, match=r"pipeline.json: embedder: expected a name or class_path .*, got \[1\]"):
        read_embedder(folder)


def test_a_converted_pipeline_keeps_all_of_it(folder: Path, tmp_path: Path) -> None:
    save_model(JointEmbedder(dim=16, channels=1, depth=0, text_depth=1), folder / "joint", licences=["CC0-1.0"])
    write_pipeline(folder, **tiny.PIPELINE, embedder=JOINT)
    main(["convert", str(folder), str(tmp_path / "half"), "--dtype=float16", "--trust-plugins", "tiny"])
    main(["convert", str(tmp_path / "half"), str(tmp_path / "back"), "--trust-plugins", "tiny"])
    for name in ("half", "back"):
        assert read_pipeline(tmp_path / name) == read_pipeline(folder)
        embedder = read_embedder(tmp_path / name)
        assert isinstance(embedder, dict)
        assert embedder["init_args"]["model"] == str(tmp_path / name / "joint"), "its own, not that of the source"
        load_model(tmp_path / name / "regression", RegressionModel, tiny.TRUST)
    first, last = (Baseline.load(each, tiny.EMBEDDING, CPU, tiny.TRUST) for each in (folder, tmp_path / "back"))
    assert first is not None
    assert last is not None
    assert torch.allclose(first.answer("a slow waltz"), last.answer("a slow waltz"), atol=0.02)
