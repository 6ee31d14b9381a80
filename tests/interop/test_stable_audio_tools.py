from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helpers import require
from musegen.checkpoints import load_model, read_config
from musegen.commands.convert import convert
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.seconds import SecondsConditioner
from musegen.flow.model import FlowModel
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.interop.stable_audio_tools import canonical_names, our_name
from musegen.interop.stable_audio_tools_config import config_from_models, models_from_config
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.oobleck import OobleckAutoencoder
from published_files import (
    CAPTIONS,
    FRAMES,
    NARROW_MODULATED,
    NARROW_OPEN,
    NARROW_SMALL,
    SAO,
    narrow_config,
    save_stable_audio,
    stable_audio_model,
    tiny_t5,
)

SECONDS = {"seconds_start": [0.0, 12.5], "seconds_total": [47.0, 180.0]}


def equal(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("variant", "objective", "path", "name"),
    [
        (NARROW_OPEN, None, CosinePath, "model.safetensors"),
        (NARROW_SMALL, "rf_denoiser", RectifiedFlow, "model.ckpt"),
        (NARROW_MODULATED, "rectified_flow", RectifiedFlow, "model.safetensors"),
    ],
    ids=["open", "small", "modulated"],
)
@torch.no_grad()
def test_a_converted_model_computes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: Any, objective: str | None, path: type, name: str
) -> None:
    t5 = tiny_t5(tmp_path / "t5", variant.ours["condition_dim"], monkeypatch)
    config = narrow_config(variant, t5, objective)
    theirs: Any = stable_audio_model(config)
    source = save_stable_audio(tmp_path / "theirs", config, theirs, name)
    convert(source, tmp_path / "ours", licence="CC0-1.0")
    flow = load_model(tmp_path / "ours" / "stable_audio", FlowModel).eval()
    vae = load_model(tmp_path / "ours" / "vae", OobleckAutoencoder).eval()
    assert type(flow.path) is path
    assert flow.network.config["init_args"]["modulated"] is (variant is NARROW_MODULATED)
    assert flow.network.shape == (8, FRAMES)
    assert read_config(tmp_path / "ours" / "vae")["licences"] == ["CC0-1.0"]

    metadata = [
        {"prompt": caption, **{key: values[index] for key, values in SECONDS.items()}}
        for index, caption in enumerate(CAPTIONS)
    ]
    told = theirs.get_conditioning_inputs(theirs.conditioner(metadata, "cpu"))
    condition = flow.condition({"caption": CAPTIONS, **{key: torch.tensor(value) for key, value in SECONDS.items()}})
    x = torch.randn(2, *flow.network.shape, generator=torch.Generator().manual_seed(1))
    time = torch.tensor([0.2, 0.7])
    expected = -theirs.model(x, 1 - time, **{key: told[key] for key in ("cross_attn_cond", "global_cond")})
    difference = (flow.network(x, time, condition) - expected).abs().max().item()
    told_difference = (condition.tokens - told["cross_attn_cond"]).abs().max().item()
    sound = theirs.pretransform.decode(x)
    sound_difference = (vae.decode(x) - sound).abs().max().item()
    print(f"condition {told_difference:.1e}, transformer {difference:.1e}, decoder {sound_difference:.1e}")
    for output in (expected, told["cross_attn_cond"], sound):
        assert output.std() > 0.1
    assert max(difference, told_difference, sound_difference) <= 1e-5
    posterior = vae.encode(sound)
    mean, scale = theirs.pretransform.model.encoder(sound).chunk(2, dim=1)
    assert (posterior.mean - mean).abs().max() <= 1e-5 * mean.abs().max().clamp(min=1)
    assert (posterior.std - (nn.functional.softplus(scale) + 1e-4)).abs().max() <= 1e-4

    convert(tmp_path / "ours", tmp_path / "back", to="stable-audio-tools")
    assert equal(load_file(tmp_path / "back" / "model.safetensors"), theirs.state_dict())
    back = json.loads((tmp_path / "back" / "model_config.json").read_text())
    again: Any = stable_audio_model(back, seed=5)
    again.load_state_dict(load_file(tmp_path / "back" / "model.safetensors"))
    told = again.get_conditioning_inputs(again.conditioner(metadata, "cpu"))
    repeated = -again.model(x, 1 - time, **{key: told[key] for key in ("cross_attn_cond", "global_cond")})
    assert torch.equal(repeated, expected)
    assert again.diffusion_objective == theirs.diffusion_objective


def test_full_size_names_and_shapes() -> None:
    require("stable_audio_tools")
    from stable_audio_tools.models.conditioners import NumberConditioner

    import published_autoencoders
    from published_transformers import OPEN, stable_audio_transformer

    with torch.device("meta"):
        published = {
            "model.model.": stable_audio_transformer(OPEN),
            "conditioner.conditioners.seconds_start.": NumberConditioner(768),
            "conditioner.conditioners.seconds_total.": NumberConditioner(768),
            "pretransform.model.": published_autoencoders.stable_audio(**published_autoencoders.FULL),
        }
    theirs = {
        prefix + name: tuple(tensor.shape)
        for prefix, module in published.items()
        for name, tensor in module.state_dict().items()
    }
    flow, codec, scale = models_from_config(SAO)
    assert flow is not None
    assert codec is not None
    assert scale == 1
    ours = {name: tuple(tensor.shape) for name, tensor in flow.state_dict().items()}
    ours |= {"pretransform.model." + name: tuple(tensor.shape) for name, tensor in codec.state_dict().items()}
    assert ours.pop("statistics.mean") == ours.pop("statistics.std") == (64,)
    assert {our_name(name): shape for name, shape in theirs.items()} == ours
    assert sum(parameter.numel() for parameter in flow.network.parameters()) == 1_056_828_544
    assert sum(parameter.numel() for parameter in codec.parameters()) == 156_112_514
    assert flow.network.shape == (64, 1024)
    back = config_from_models(flow, codec)
    assert models_from_config(back)[0].config == flow.config  # type: ignore[union-attr]
    assert back["sample_size"] == SAO["sample_size"]
    known = {**SAO["model"]["diffusion"]["config"], "project_cond_tokens": False}
    assert back["model"]["diffusion"]["config"] == known


@pytest.fixture(scope="module")
def untold() -> tuple[dict[str, Any], nn.Module]:
    """A model without captions, which needs no text encoder."""
    config = narrow_config(NARROW_OPEN, None, scale=2.5)
    return config, stable_audio_model(config)


def test_the_scale_of_latents_becomes_their_statistics(tmp_path: Path, untold: Any) -> None:
    config, theirs = untold
    convert(save_stable_audio(tmp_path / "theirs", config, theirs), tmp_path / "ours")
    flow = load_model(tmp_path / "ours" / "stable_audio", FlowModel)
    latents = torch.randn(1, 8, 5)
    assert torch.equal(flow.statistics.restore(latents), 2.5 * latents)
    convert(tmp_path / "ours", tmp_path / "back", to="stable-audio-tools")
    back = json.loads((tmp_path / "back" / "model_config.json").read_text())
    assert back["model"]["pretransform"]["scale"] == 2.5
    flow.statistics.set(torch.arange(8), 1.0)
    from musegen.checkpoints import save_model

    save_model(flow, tmp_path / "odd", licences=[])
    with pytest.raises(ValueError, match="by one number"):
        convert(tmp_path / "odd", tmp_path / "nothing", to="stable-audio-tools")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("which", ["ema", "raw"])
def test_a_training_checkpoint(tmp_path: Path, untold: Any, which: Any) -> None:
    config, theirs = untold
    state = theirs.state_dict()
    averaged = {name: tensor + 1 for name, tensor in state.items() if name.startswith("model.")}
    checkpoint = {f"diffusion.{name}": tensor for name, tensor in state.items()}
    checkpoint |= {"diffusion_ema.ema_model." + name.removeprefix("model."): one for name, one in averaged.items()}
    checkpoint |= {"diffusion_ema.step": torch.tensor(3), "diffusion_ema.initted": torch.tensor(True)}
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    torch.save({"state_dict": checkpoint, "epoch": 1, "optimizer_states": []}, tmp_path / "last.ckpt")
    convert(tmp_path / "last.ckpt", tmp_path / "ours", weights=which)
    convert(tmp_path / "ours", tmp_path / "back", to="stable-audio-tools")
    expected = state | averaged if which == "ema" else state
    assert equal(load_file(tmp_path / "back" / "model.safetensors"), expected)


@pytest.mark.parametrize(
    ("kept", "prefix", "written"),
    [
        ("", "module.", ["stable_audio", "vae"]),
        ("model.model.", "", ["stable_audio"]),
        ("pretransform.model.", "", ["vae"]),
        ("pretransform.model.", "autoencoder.", ["vae"]),
    ],
)
def test_wrapped_and_bare_files(tmp_path: Path, untold: Any, kept: str, prefix: str, written: list[str]) -> None:
    config, theirs = untold
    config = json.loads(json.dumps(config))
    state = {name: tensor for name, tensor in theirs.state_dict().items() if name.startswith(kept)}
    if kept == "model.model.":  # a bare transformer lacks the conditioners, which a model needs
        (tmp_path / "model_config.json").write_text(json.dumps(config))
        save_file({name.removeprefix(kept): one for name, one in state.items()}, tmp_path / "bare.safetensors")
        with pytest.raises(ValueError, match=r"missing 6 \(conditioner\.conditioners\.seconds_start") as error:
            convert(tmp_path / "bare.safetensors", tmp_path / "ours")
        assert "\n" not in str(error.value)
        return
    state = {prefix + name.removeprefix(kept): tensor for name, tensor in state.items()}
    (tmp_path / "model_config.json").write_text(json.dumps(config))
    save_file(state, tmp_path / "some.safetensors")
    convert(tmp_path / "some.safetensors", tmp_path / "ours")
    folders = [tmp_path / "ours"] if len(written) == 1 else [tmp_path / "ours" / name for name in written]
    codec = load_model(folders[-1], OobleckAutoencoder).state_dict()
    own = "pretransform.model."
    expected = {name.removeprefix(own): one for name, one in theirs.state_dict().items() if name.startswith(own)}
    assert equal(codec, expected)


def test_names_of_parts_become_those_of_a_whole() -> None:
    tensor = torch.zeros(1)
    for name, whole in {
        "transformer.layers.0.ff.ff.2.bias": "model.model.transformer.layers.0.ff.ff.2.bias",
        "model.transformer.project_in.weight": "model.model.transformer.project_in.weight",
        "_orig_mod.to_cond_embed.0.weight": "model.model.to_cond_embed.0.weight",
        "decoder.layers.0.parametrizations.weight.original1": "pretransform.model.decoder.layers.0.weight_v",
        "conditioners.seconds_start.x": "conditioner.conditioners.seconds_start.x",
        "model": "model",
    }.items():
        assert list(canonical_names({name: tensor})) == [whole]


def test_networks_that_have_no_equal_there() -> None:
    sizes = {"channels": 8, "frames": FRAMES, "dim": 128, "depth": 1, "heads": 2, "condition_dim": 64, "vector_dim": 64}
    told = Conditioning(
        {"seconds_total": SecondsConditioner("seconds_total", 64)}, ["seconds_total"], ["seconds_total"]
    )
    for option in ("pool_condition", "mask_condition"):
        network = DiffusionTransformer(**sizes, **{option: True})
        with pytest.raises(ValueError, match=f"has nothing like {option}"):
            config_from_models(FlowModel(network, told, RectifiedFlow()), None)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (["model_type"], "lm", r"model_type: musegen has nothing like 'lm'"),
        (["model", "diffusion", "type"], "adp_1d", "diffusion.type: musegen has nothing like 'adp_1d'"),
        (["model", "diffusion", "config", "patch_size"], 2, "patch_size: musegen has nothing like 2"),
        (["model", "diffusion", "config", "num_heads"], 0, "num_heads: expected a size"),
        (["model", "diffusion", "config", "num_heads"], "24", "num_heads: expected int"),
        (["model", "diffusion", "config", "conformer"], True, r"conformer: musegen has nothing like it"),
        (["model", "diffusion", "prepend_cond_ids"], ["x"], "prepend_cond_ids: musegen has nothing like it"),
        (["model", "conditioning", "configs", 0, "type"], "clap_text", "nothing like 'clap_text'"),
        (["model", "pretransform", "config", "bottleneck", "type"], "rvq", "nothing like 'rvq'"),
        (["model", "pretransform", "config", "downsampling_ratio"], 5, "expected 2048, got 5"),
        (["model"], [], "model: expected dict"),
    ],
)
def test_configs_that_have_no_equal_here(place: list[Any], value: Any, said: str) -> None:
    config = json.loads(json.dumps(SAO))
    section = config
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    with pytest.raises(ValueError, match=said) as error:
        models_from_config(config)
    assert "\n" not in str(error.value)
