from __future__ import annotations

import errno
import json
import pickle
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import tiny
from musegen import checkpoints, tensor_files
from musegen.checkpoints import load_model, read_config, save_model
from musegen.flow.model import FlowModel
from musegen.models.oobleck import OobleckAutoencoder
from musegen.nn.precise import Precise


@pytest.fixture(scope="module")
def model() -> FlowModel:
    return tiny.stable_audio_muq()


@pytest.fixture
def folder(tmp_path: Path, model: FlowModel) -> Path:
    save_model(model, tmp_path / "model", licences=["MIT", "CC0-1.0", "MIT"], training={"steps": 3})
    return tmp_path / "model"


def test_a_model_comes_back_as_it_was(folder: Path, model: FlowModel) -> None:
    loaded = load_model(folder, FlowModel)
    assert loaded.config == model.config
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in loaded.state_dict().items())
    trains = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in loaded.named_parameters()} == trains
    config = read_config(folder)
    assert config["licences"] == ["CC0-1.0", "MIT"]
    assert config["training"] == {"steps": 3}
    batch = {"embedding": torch.randn(1, 32), "seconds_start": torch.zeros(1), "seconds_total": torch.ones(1)}
    x, time = torch.randn(1, *model.network.shape), torch.tensor([0.3])
    with torch.no_grad():
        expected = model.network(x, time, model.condition(batch))
        assert expected.std() > 0.1
        assert torch.equal(loaded.network(x, time, loaded.condition(batch)), expected)


def test_half_precision_on_disk_and_in_memory(tmp_path: Path, model: FlowModel) -> None:
    save_model(model, tmp_path, licences=[], dtype=torch.float16)
    exact = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, Precise)
        for name in module.state_dict()
    }
    loaded = load_model(tmp_path, FlowModel).state_dict()
    assert exact >= {"statistics.mean", "network.timestep_features.weight"}
    for name, tensor in model.state_dict().items():
        assert loaded[name].dtype is torch.float32
        assert torch.equal(loaded[name], tensor if name in exact else tensor.half().float()), name
    for name, tensor in load_model(tmp_path, FlowModel, dtype=torch.bfloat16).state_dict().items():
        assert tensor.dtype is (torch.float32 if name in exact else torch.bfloat16)


def test_loading_takes_no_memory_for_a_first_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SMALL", 0)
    load_model(folder, FlowModel)  # torch lists what makes tensors when a device is first chosen for them
    original = torch.randn

    def on_meta_only(*args: Any, **kwargs: Any) -> torch.Tensor:
        drawn = original(*args, **kwargs)
        assert drawn.is_meta
        return drawn

    monkeypatch.setattr(torch, "randn", on_meta_only)
    state = torch.random.get_rng_state()
    load_model(folder, FlowModel)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("small", [0, checkpoints.SMALL])
def test_a_model_is_the_same_however_it_is_built(
    small: int, folder: Path, model: FlowModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SMALL", small)
    state = torch.random.get_rng_state()
    loaded = load_model(folder, FlowModel).state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def test_a_config_that_asks_for_more_than_memory_is_refused_by_its_shapes(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "huge")
    config = json.loads((tmp_path / "huge" / "config.json").read_text())
    config["model"]["init_args"]["network"]["init_args"] |= {"dim": 1 << 16, "heads": 1 << 10}
    changed(tmp_path / "huge", model=config["model"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="expected shape"):
        load_model(tmp_path / "huge", FlowModel)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


def test_a_small_model_is_built_without_the_compiler(folder: Path) -> None:
    script = (
        "import sys; from musegen.checkpoints import load_model; from musegen.flow.model import FlowModel\n"
        f"load_model({str(folder)!r}, FlowModel)\n"
        "print(sorted({'torch._dynamo', 'sympy', 'triton', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("small", [0, checkpoints.SMALL])
def test_text_encoders_survive_being_built_without_memory(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musegen.conditioning.minilm import MiniLM

    monkeypatch.setattr(checkpoints, "SMALL", small)
    save_model(tiny.text2muq(MiniLM(max_tokens=4)), tmp_path, licences=[])
    loaded = load_model(tmp_path, FlowModel).to(torch.float64)
    with torch.no_grad():
        assert loaded.condition({"caption": ["a"]}).tokens.std() > 0.1


def changed(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def renamed(folder: Path, rename: Any) -> None:
    path = folder / "model.safetensors"
    state = {rename(name): tensor.clone() for name, tensor in tensor_files.read_tensors(path).items()}
    tensor_files.write_tensors(path, {name: tensor for name, tensor in state.items() if name})


def swapped(name: str) -> str:
    other = {"project_in": "project_out", "project_out": "project_in"}
    return re.sub("project_(in|out)", lambda found: other[found[0]], name)


def bomb(path: Path, canary: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return open, (str(canary), "w")

    path.write_bytes(pickle.dumps(Bomb()))


BREAKS: dict[str, tuple[Any, str]] = {
    "no folder": (lambda folder: folder.rename(folder.with_name("x")), "expected a model folder .* got nothing at"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "which holds model.safetensors"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "expected a safetensors file, got none"),
    "not JSON": (lambda folder: (folder / "config.json").write_text("{"), "expected JSON"),
    "NaN": (lambda folder: (folder / "config.json").write_text('{"format": NaN}'), "NaN is no number"),
    "infinity": (lambda folder: (folder / "config.json").write_text("[-Infinity]"), "Infinity is no number"),
    "endless": (lambda folder: (folder / "config.json").write_text("[" * 10**6), "expected JSON"),
    "binary": (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"), "expected JSON"),
    "a list": (lambda folder: (folder / "config.json").write_text("[]"), "expected format 'musegen'"),
    "another format": (lambda folder: changed(folder, format="x"), "expected format 'musegen'"),
    "a later version": (lambda folder: changed(folder, version=2), "expected version 1, got 2"),
    "licences": (lambda folder: changed(folder, licences="MIT"), "licences: expected a list"),
    "another class": (
        lambda folder: changed(folder, model={"class_path": "musegen.models.oobleck.OobleckAutoencoder"}),
        "expected a FlowModel",
    ),
    "code": (lambda folder: changed(folder, model={"class_path": "os.system"}), "not imported unless"),
    "wrapped": (lambda folder: renamed(folder, lambda name: f"model.{name}"), "the same wrapped in 'model.'"),
    "missing": (
        lambda folder: renamed(folder, lambda name: None if name.startswith("statistics") else name),
        r"missing 2 \(statistics.mean, statistics.std\)",
    ),
    "unexpected": (
        lambda folder: renamed(folder, lambda name: "extra" if name == "statistics.std" else name),
        r"unexpected 1 \(extra\)",
    ),
    "swapped": (lambda folder: renamed(folder, swapped), r"project_\w+.weight: expected shape \["),
    "a pickle": (lambda folder: bomb(folder / "model.safetensors", folder / "canary"), "got a pickle"),
    "truncated": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
        "a truncated one",
    ),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_broken_and_hostile_folders(folder: Path, kind: str) -> None:
    damage, said = BREAKS[kind]
    damage(folder)
    with pytest.raises(ValueError, match=said) as error:
        load_model(folder, FlowModel)
    assert "\n" not in str(error.value)
    assert not (folder / "canary").exists()


def test_a_file_in_place_of_a_folder(folder: Path) -> None:
    with pytest.raises(ValueError, match="musegen convert makes a folder of it"):
        load_model(folder / "model.safetensors", FlowModel)


def test_nothing_is_left_half_written(folder: Path, model: FlowModel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for place in (folder, folder.with_name("new")):
        with pytest.raises(OSError, match="cannot write: No space left on device") as error:
            save_model(tiny.stable_audio_muq(seed=9), place, licences=[])
        assert error.value.filename == str(place)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_another_model_replaces_the_files_only(folder: Path) -> None:
    (folder / "card.md").write_text("mine")
    save_model(tiny.vae(), folder, licences=[])
    assert load_model(folder, OobleckAutoencoder).latent_channels == tiny.CHANNELS
    assert (folder / "card.md").read_text() == "mine"
    (folder.parent / "file").touch()
    with pytest.raises(OSError, match="expected a folder to write to"):
        save_model(tiny.vae(), folder.parent / "file", licences=[])
    with pytest.raises(TypeError, match="Configurable"):
        save_model(nn.Linear(1, 1), folder, licences=[])
