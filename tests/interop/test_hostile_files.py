"""Files that would run something, or that are not what they seem: each is refused in one line, and nothing is run."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tiny
from musegen.checkpoints import load_model, save_model
from musegen.cli import main
from musegen.flow.model import FlowModel
from musegen.interop.initialise import load_pretrained


class Bomb:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.canary), "w")


def explosive(kind: str, path: Path, canary: Path) -> None:
    """A file that makes the canary when it is unpickled."""
    loaded = {"state_dict": {"network.x": torch.zeros(1)}, "extra": Bomb(canary)}
    if kind == "torch":
        torch.save(loaded, path)
    elif kind == "old torch":
        torch.save(loaded, path, _use_new_zipfile_serialization=False)
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(loaded))
    elif kind == "old pickle":
        path.write_bytes(pickle.dumps(Bomb(canary), protocol=0))
    elif kind == "array":
        with open(path, "wb") as file:
            np.save(file, np.array([Bomb(canary)], dtype=object), allow_pickle=True)
    elif kind == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("../../canary", "x")
            archive.writestr("archive/data.pkl", pickle.dumps(Bomb(canary)))


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it refuses: exit status 2 and one line."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert said[-1].startswith("musegen: ")
    assert len([line for line in said if line.startswith("musegen")]) == 1
    return said[-1]


@pytest.mark.parametrize("kind", ["torch", "old torch", "pickle", "old pickle", "array", "archive"])
@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin", ".npy", ".safetensors"])
def test_pickles_are_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, suffix: str) -> None:
    canary, path = tmp_path / "canary", tmp_path / f"model{suffix}"
    explosive(kind, path, canary)
    with open(path, "rb") as file:
        assert file.read(1)
    run(capsys, "convert", path, tmp_path / "out")
    with pytest.raises(ValueError, match="expected") as error:
        load_pretrained(tiny.stable_audio_muq(), path)
    assert "\n" not in str(error.value)
    assert not canary.exists()
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_the_bombs_are_live(tmp_path: Path) -> None:
    explosive("torch", tmp_path / "model.ckpt", tmp_path / "canary")
    torch.load(tmp_path / "model.ckpt", weights_only=False)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("class_path", ["os.system", "builtins.eval", "subprocess.Popen", "musegen.cli.main"])
def test_a_recipe_in_a_checkpoint_names_no_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], class_path: str
) -> None:
    canary = tmp_path / "canary"
    recipe = {"class_path": class_path, "init_args": {"command": f"touch {canary}", "arguments": ["fit"]}}
    entry = {"model": recipe, "prefix": "model.", "licences": []}
    torch.save({"state_dict": {"model.x": torch.zeros(1)}, "musegen": entry}, tmp_path / "last.ckpt")
    assert f"got {class_path}" in run(capsys, "convert", tmp_path / "last.ckpt", tmp_path / "out")
    folder = tmp_path / "folder"
    save_model(tiny.stable_audio_muq(), folder, licences=[])
    config = json.loads((folder / "config.json").read_text())
    for where in ("network", "path", "conditioning"):
        nested = json.loads(json.dumps(config))
        nested["model"]["init_args"][where] = recipe
        (folder / "config.json").write_text(json.dumps(nested))
        assert f"model.{where}: expected" in run(capsys, "convert", folder, tmp_path / "out")
        with pytest.raises(ValueError, match=f"model.{where}: expected a .* got {class_path}"):
            load_model(folder, FlowModel)
    assert not canary.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("model_config.json", "[" * 100_000, "expected JSON"),
        ("model_config.json", '{"sample_rate": NaN}', "NaN is no number"),
        ("model_config.json", '{"model_type": "diffusion_cond", "model": 3}', "model: expected dict"),
        ("model_config.json", '{"model_type": ["autoencoder"]}', "nothing like"),
        ("config.json", '{"_class_name": "AutoencoderOobleck", "downsampling_ratios": "x"}', "expected list"),
        ("config.json", '{"_class_name": "AutoencoderOobleck", "channel_multiples": [1e99, 2]}', "expected sizes"),
        ("config.json", '{"_class_name": "FluxPipeline"}', "expected a StableAudioPipeline"),
        ("model_index.json", '{"_class_name": "../../x"}', "expected a StableAudioPipeline"),
        ("config.json", '{"format": "musegen", "version": 1, "model": {"class_path": "os.system"}}', "got os.system"),
    ],
)
def test_hostile_configs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, said: str
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_text(content)
    save_file({"encoder.layers.0.bias": torch.zeros(1)}, folder / "model.safetensors")
    assert said in run(capsys, "convert", folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pipeline_names_no_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What ``pipeline.json`` says of folders is not followed: a pipeline's parts have fixed names."""
    folder = tiny.save_pipeline(tmp_path / "pipeline")
    said = json.loads((folder / "pipeline.json").read_text())
    (folder / "pipeline.json").write_text(json.dumps(said | {"vae": "../../elsewhere", "parts": ["/etc"]}))
    save_model(tiny.vae(seed=9), tmp_path / "elsewhere", licences=[])
    main(["convert", str(folder), str(tmp_path / "out"), "--trust_plugins", "tiny"])
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    parts = ("stable_audio_muq", "text2muq", "vae")
    files = [f"{part}/{name}" for part in parts for name in ("config.json", "model.safetensors")]
    assert written == sorted([*files, "pipeline.json"])
    assert (tmp_path / "out" / "vae" / "model.safetensors").read_bytes() == (
        folder / "vae" / "model.safetensors"
    ).read_bytes()
    (folder / "pipeline.json").write_text("[NaN]")
    assert "NaN is no number" in run(capsys, "convert", folder, tmp_path / "out2", "--trust_plugins", "tiny")


def test_a_plugin_in_a_folder_is_converted_on_trust_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tiny.text2muq(), tmp_path / "text2muq", licences=[])
    said = run(capsys, "convert", tmp_path / "text2muq", tmp_path / "out")
    assert "--trust-plugins tiny" in said
    main(["convert", str(tmp_path / "text2muq"), str(tmp_path / "out"), "--trust_plugins", "tiny"])
    load_model(tmp_path / "out", FlowModel, trust=["tiny"])


def test_a_stream_that_claims_too_much(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    buffer = io.BytesIO()
    torch.save({"state_dict": {"network.x": torch.zeros(1000)}}, buffer)
    for cut in (10, 100, 1000, len(buffer.getvalue()) - 30):
        (tmp_path / "cut.ckpt").write_bytes(buffer.getvalue()[:cut])
        assert "truncated or damaged" in run(capsys, "convert", tmp_path / "cut.ckpt", tmp_path / "out")
