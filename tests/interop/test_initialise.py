from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers import randomise
from musegen.checkpoints import save_model
from musegen.commands.convert import convert
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.conditioning.seconds import SecondsConditioner
from musegen.flow.model import FlowModel
from musegen.flow.paths.base import Path as FlowPath
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.interop.initialise import load_pretrained
from musegen.models.diffusion_transformer import DiffusionTransformer
from published_files import (
    FRAMES,
    NARROW_OPEN,
    diffusers_parts,
    narrow_config,
    save_diffusers,
    save_stable_audio,
    stable_audio_model,
)

SECONDS = ["seconds_start", "seconds_total"]


def fresh(path: FlowPath | None = None, **changes: Any) -> FlowModel:
    """What is to be fine-tuned: the published network, told the embedding in place of the prompt."""
    network = DiffusionTransformer(**(NARROW_OPEN.ours | {"vector_dim": 256, "frames": FRAMES} | changes))
    conditioners: Any = {name: SecondsConditioner(name, 128) for name in SECONDS}
    conditioners = {"muq": EmbeddingConditioner(32, 4, 128), **conditioners}
    return FlowModel(network, Conditioning(conditioners, ["muq", *SECONDS], SECONDS), path or CosinePath())


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    config = narrow_config(NARROW_OPEN, None, scale=2.0)
    model = stable_audio_model(config)
    folder = save_stable_audio(tmp_path_factory.mktemp("published"), config, model)
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: stable-audio-community\n---\n")
    config["model"]["conditioning"]["configs"].append({"id": "lyrics", "type": "phoneme", "config": {}})
    (folder / "model_config.json").write_text(json.dumps(config))  # what we have nothing like does not matter here
    return folder, model.state_dict()


def test_every_published_tensor_is_loaded_or_named(published: tuple[Path, dict[str, Tensor]]) -> None:
    folder, theirs = published
    model = fresh()
    random = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = load_pretrained(model, folder)
    own = model.state_dict()
    for name, tensor in theirs.items():
        for theirs_prefix, prefix in (("model.model.", "network."), ("conditioner.", "conditioning.")):
            if name.startswith(theirs_prefix):
                assert torch.equal(own[prefix + name.removeprefix(theirs_prefix)], tensor), name
    assert set(report.new) == {name for name in own if ".muq." in name}
    assert all(torch.equal(own[name], random[name]) for name in report.new)
    assert report.unused == ()
    assert set(report.loaded) | set(report.new) == set(own)
    assert report.licences == ("stable-audio-community",)
    assert torch.equal(model.statistics.std, torch.full((8,), 2.0))
    lines = str(report).splitlines()
    assert lines[1].startswith(f"  loaded: {len(report.loaded)} tensors: network (")
    assert lines[2] == "  new: 8 tensors: conditioning.conditioners.muq (8)"
    assert lines[3] == "  not used: 0 tensors"
    assert len(lines) == 4


@pytest.mark.parametrize("kind", ["bare", "wrapped", "training", "musegen", "diffusers"])
def test_from_any_file(published: tuple[Path, dict[str, Tensor]], tmp_path: Path, kind: str) -> None:
    _, theirs = published
    network = {name: one for name, one in theirs.items() if name.startswith("model.model.")}
    source = tmp_path / "model.safetensors"
    if kind == "bare":
        save_file({name.removeprefix("model.model."): tensor for name, tensor in network.items()}, source)
    elif kind == "wrapped":
        save_file({name.removeprefix("model."): tensor for name, tensor in network.items()}, source)
    elif kind == "training":
        source = tmp_path / "last.ckpt"
        torch.save({"state_dict": {f"diffusion.{name}": tensor for name, tensor in theirs.items()}}, source)
    elif kind == "musegen":
        source = tmp_path / "ours"
        pretrained = fresh()
        randomise(pretrained, 3)
        save_model(pretrained, source, licences=["MIT"])
        network = {"model.model." + name: one for name, one in pretrained.network.state_dict().items()}
    else:
        source = save_diffusers(tmp_path, diffusers_parts(seed=4))
        convert(source, tmp_path / "converted", to="musegen", t5="somewhere")
        state = load_file(tmp_path / "converted" / "stable_audio" / "model.safetensors")
        network = {"model.model." + name: one for name, one in state.items() if name.startswith("network.")}
        network = {name.replace(".network.", "."): one for name, one in network.items()}
    model = fresh()
    report = load_pretrained(model, source)
    own = model.network.state_dict()
    assert len(own) == len(network)
    assert all(torch.equal(own[name.removeprefix("model.model.")], one) for name, one in network.items())
    assert report.unused == ()
    seconds_are_new = any("seconds" in name for name in report.new)
    assert seconds_are_new == (kind in ("bare", "wrapped"))
    assert report.licences == (("MIT",) if kind == "musegen" else ("LicenseRef-unknown",))


def test_what_the_model_has_nothing_for_is_named(published: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    _, theirs = published
    other = {"conditioner.conditioners.lyrics.embedder.weight": torch.zeros(2)}
    save_file({**theirs, **other}, tmp_path / "model.safetensors")
    report = load_pretrained(fresh(RectifiedFlow()), tmp_path / "model.safetensors")
    assert report.unused == ("conditioning.conditioners.lyrics.embedder.weight",)
    assert "not used: 1 tensors: conditioning.conditioners.lyrics (1)" in str(report)


def test_another_path_is_noted(published: tuple[Path, dict[str, Tensor]]) -> None:
    report = load_pretrained(fresh(RectifiedFlow()), published[0])
    assert "note: these weights learned on CosinePath, this model is on RectifiedFlow" in str(report)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth": 3}, "tensors are missing, first network.transformer.layers.2"),
        ({"depth": 1}, "more tensors, first network.transformer.layers.1"),
        ({"channels": 4}, r"expected shape \[4"),
        ({"qk_norm": "layer"}, "tensors are missing, first network.transformer.layers.0.self_attn.q_norm"),
    ],
)
def test_a_model_that_does_not_fit_stays_as_it_was(
    published: tuple[Path, dict[str, Tensor]], changes: dict[str, Any], said: str
) -> None:
    model = fresh(**changes)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=said) as error:
        load_pretrained(model, published[0])
    assert "\n" not in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_codec_is_no_network(published: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    codec = {name: tensor for name, tensor in published[1].items() if name.startswith("pretransform.")}
    save_file(codec, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="expected the weights of a network"):
        load_pretrained(fresh(), tmp_path / "model.safetensors")
    assert isinstance(fresh().network, nn.Module)
