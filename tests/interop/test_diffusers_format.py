from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers import require
from musegen.checkpoints import load_model
from musegen.commands.convert import convert
from musegen.flow.model import FlowModel
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.interop import diffusers_format
from musegen.interop.diffusers_models import (
    autoencoder_from_config,
    conditioning_from_config,
    network_config,
    network_from_config,
)
from musegen.interop.diffusers_names import autoencoder_name
from musegen.interop.options import Options
from musegen.interop.stable_audio_tools_config import T5_DIMS
from musegen.models.oobleck import OobleckAutoencoder
from published_files import FRAMES, diffusers_parts, save_diffusers
from published_transformers import OPEN, diffusers_transformer, run_diffusers

COMPONENTS = ("transformer", "projection_model", "vae")


@pytest.fixture(scope="module")
def parts() -> dict[str, nn.Module]:
    return diffusers_parts()


@pytest.fixture(scope="module")
def source(parts: dict[str, nn.Module], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_diffusers(tmp_path_factory.mktemp("published"), parts)


@pytest.fixture(scope="module")
def converted(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(source, tmp_path_factory.mktemp("converted") / "ours", t5="somewhere/t5")


def weights(folder: Path) -> dict[str, Tensor]:
    return {
        f"{component}.{name}": tensor
        for component in COMPONENTS
        for name, tensor in load_file(folder / component / "diffusion_pytorch_model.safetensors").items()
    }


def options(published: Any) -> Options:
    return Options({name: value for name, value in published.config.items() if not name.startswith("_")}, "config")


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@torch.no_grad()
def test_a_converted_pipeline_computes_the_same(parts: dict[str, Any], converted: Path) -> None:
    flow = load_model(converted / "stable_audio", FlowModel).eval()
    vae = load_model(converted / "vae", OobleckAutoencoder).eval()
    seconds = {"seconds_start": torch.tensor([0.0, 3.5]), "seconds_total": torch.tensor([47.0, 190.0])}
    told = parts["projection_model"](start_seconds=seconds["seconds_start"], end_seconds=seconds["seconds_total"])
    states = torch.randn(2, 5, 128, generator=torch.Generator().manual_seed(1))
    start, end = told.seconds_start_hidden_states, told.seconds_end_hidden_states
    ours = [flow.conditioning.conditioners[name](seconds)[0] for name in seconds]
    assert flow.conditioning.cross_attention == ["prompt", *seconds]
    assert flow.conditioning.vector == [*seconds]

    from musegen.models.base import Condition

    x = torch.randn(2, 8, FRAMES, generator=torch.Generator().manual_seed(2))
    time = torch.tensor([0.2, 0.7])
    given = SimpleNamespace(
        x=x,
        time=time,
        condition=Condition(torch.cat([states, start, end], 1), vector=torch.cat([start, end], 2)[:, 0]),
    )
    expected = run_diffusers(parts["transformer"], given)
    got = flow.network(x, time, Condition(torch.cat([states, *ours], 1), vector=torch.cat(ours, 2)[:, 0]))
    sound = parts["vae"].decode(x).sample
    difference = (got - expected).abs().max().item()
    told_difference = max((one - two).abs().max().item() for one, two in zip(ours, (start, end), strict=True))
    sound_difference = (vae.decode(x) - sound).abs().max().item()
    print(f"condition {told_difference:.1e}, transformer {difference:.1e}, decoder {sound_difference:.1e}")
    for output in (expected, start, sound):
        assert output.std() > 0.1
    assert max(difference, told_difference, sound_difference) <= 1e-5
    mean = parts["vae"].encode(sound).latent_dist.mean
    assert (vae.encode(sound).mean - mean).abs().max() <= 1e-5 * mean.abs().max().clamp(min=1)


def test_back_again_by_itself_and_by_way_of_stable_audio_tools(
    source: Path, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(T5_DIMS, "t5-small", 128)
    convert(converted, tmp_path / "back", to="diffusers")
    assert equal(weights(tmp_path / "back"), weights(source))
    for component in COMPONENTS:
        ours, theirs = (
            json.loads((folder / component / "config.json").read_text()) for folder in (tmp_path / "back", source)
        )
        theirs = {name: value for name, value in theirs.items() if not name.startswith(("_diffusers", "_name"))}
        assert ours == theirs
    convert(converted, tmp_path / "sat", to="stable-audio-tools")
    convert(tmp_path / "sat", tmp_path / "ours", t5="somewhere/t5")
    convert(tmp_path / "ours", tmp_path / "again", to="diffusers")
    assert equal(weights(tmp_path / "again"), weights(source))


def test_diffusers_loads_what_was_written(converted: Path, tmp_path: Path, parts: dict[str, nn.Module]) -> None:
    require("diffusers")
    import diffusers

    convert(converted, tmp_path / "back", to="diffusers", dtype="float16")
    pipeline: Any = diffusers.StableAudioPipeline.from_pretrained(
        tmp_path / "back", text_encoder=None, tokenizer=None, low_cpu_mem_usage=False
    )
    for component in COMPONENTS:
        expected = {name: one.half().float() for name, one in parts[component].state_dict().items()}
        loaded = {name: one.float() for name, one in getattr(pipeline, component).state_dict().items()}
        if component != "vae":
            expected = {name: loaded[name] if "time_proj.weight" in name else one for name, one in expected.items()}
            expected = {name: loaded[name] if ".0.weights" in name else one for name, one in expected.items()}
        assert equal(loaded, expected)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"


def test_a_vae_alone_and_a_component_in_several_files(source: Path, converted: Path, tmp_path: Path) -> None:
    convert(source / "vae", tmp_path / "vae")
    convert(tmp_path / "vae", tmp_path / "back", to="diffusers")
    name = "diffusion_pytorch_model.safetensors"
    assert equal(load_file(tmp_path / "back" / name), load_file(source / "vae" / name))
    state = load_file(source / "vae" / name)
    folder = tmp_path / "sharded"
    folder.mkdir()
    (folder / "config.json").write_text((source / "vae" / "config.json").read_text())
    halves = {"one.safetensors": sorted(state)[::2], "two.safetensors": sorted(state)[1::2]}
    for file, keys in halves.items():
        save_file({key: state[key] for key in keys}, folder / file)
    index = {"weight_map": {key: f"../elsewhere/{file}" for file, keys in halves.items() for key in keys}}
    (folder / f"{name}.index.json").write_text(json.dumps(index))  # folders in names are not followed
    convert(folder, tmp_path / "joined")
    one, two = (load_file(path / "model.safetensors") for path in (tmp_path / "joined", tmp_path / "vae"))
    assert equal(one, two)


def test_full_size_names_and_shapes() -> None:
    require("diffusers")
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    import published_autoencoders

    with torch.device("meta"):
        transformer: Any = diffusers_transformer(OPEN)
        projection: Any = StableAudioProjectionModel(768, 768, 0, 512)
        autoencoder: Any = published_autoencoders.diffusers(**published_autoencoders.FULL)
        network = network_from_config(options(transformer))
        conditioning = conditioning_from_config(options(projection), 128)
        codec = autoencoder_from_config(options(autoencoder))
        from musegen.flow.paths.cosine import CosinePath

        flow = FlowModel(network, conditioning, CosinePath())
    names = diffusers_format._flow_names(flow)
    own = flow.state_dict()
    for component, published in (("transformer", transformer), ("projection_model", projection)):
        theirs = {name: tensor.numel() for name, tensor in published.state_dict().items()}
        assert {one for pieces in names[component].values() for one in pieces} == set(theirs)
        for name, pieces in names[component].items():
            assert own[name].numel() == sum(theirs[one] for one in pieces)
    mapped = {autoencoder_name(name, 5): tensor.numel() for name, tensor in codec.state_dict().items()}
    assert mapped == {name: tensor.numel() for name, tensor in autoencoder.state_dict().items()}
    published = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
    assert {name: value for name, value in network_config(flow).items() if name != "_class_name"} == published


def test_what_diffusers_has_nothing_like(converted: Path, tmp_path: Path) -> None:
    config = json.loads((converted / "stable_audio" / "config.json").read_text())
    path = "musegen.flow.paths.rectified.RectifiedFlow"
    assert RectifiedFlow.__name__ in path
    config["model"]["init_args"]["path"] = {"class_path": path, "init_args": {}}
    folder = tmp_path / "rectified"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").symlink_to(converted / "stable_audio" / "model.safetensors")
    with pytest.raises(ValueError, match="has only CosinePath") as error:
        convert(folder, tmp_path / "out", to="diffusers")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
