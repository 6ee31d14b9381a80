"""Every YAML that ships builds what it names, at its real size, on the meta device."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.plugins import MixedPrecision

from musegen.int8_tensors import narrow_matrices
from musegen.trainer_cli import TrainerCLI

CONFIGS = Path(__file__).parents[1] / "configs"
CPU = ["--trainer.accelerator", "cpu", "--trainer.devices", "1", "--trainer.strategy", "auto"]
SIZES = {
    "text2muq": (271e6, 1e6),
    "stable_audio_muq": (1_061_559_680, 0),  # the published 1,056,828,544, and what the embedding and the seconds add
    "stable_audio_muq_sao_small": (345_412_352, 0),
    "oobleck_vae": (156_112_514, 0),
}


def build(*files: Path, extra: tuple[str, ...] = ()) -> TrainerCLI:
    parts = {"trainer": "trainer/cpu.yaml", "model": "model/text2muq_small.yaml", "data": "data/embeddings.yaml"}
    given = {key for file in files for key in yaml.safe_load(file.read_text())}
    if "parts" in given:
        parts = {}
    arguments = [f"--config={CONFIGS / path}" for key, path in parts.items() if key not in given]
    arguments += [f"--config={file}" for file in files]
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        return TrainerCLI([*arguments, *CPU, *extra, "--trainer.logger", "false"], run=False)


@pytest.mark.parametrize("file", sorted(CONFIGS.rglob("*.yaml")), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_it_builds(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    content = yaml.safe_load(file.read_text())
    if content.pop("return_predictions", None) is not None:  # an option of the command, not of what it builds
        file = tmp_path / file.name
        file.write_text(yaml.safe_dump(content))
    pretrained = ("--model.init_args.pretrained", "null")
    cli = build(file, extra=pretrained if file.parent.name == "experiment" and "muq" in file.stem else ())
    count = sum(parameter.numel() for parameter in cli.model.model.parameters())
    print(f"{file.stem}: {count:,} parameters")
    if file.parent.name == "model" and file.stem in SIZES:
        expected, margin = SIZES[file.stem]
        assert abs(count - expected) <= margin, f"{count:,}"


EXPERIMENTS = sorted((CONFIGS / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_lightning_clips_the_gradients_of_its_optimizer(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In mixed precision it refuses to, at the first step, for one that is fused."""
    monkeypatch.chdir(tmp_path)
    cli = build(file, extra=("--model.init_args.pretrained", "null") if "muq" in file.stem else ())
    mixed = isinstance(cli.trainer.precision_plugin, MixedPrecision)
    by_itself = type(cli.model).configure_gradient_clipping is not LightningModule.configure_gradient_clipping
    if by_itself or not (cli.trainer.gradient_clip_val and mixed):
        return
    optimizer = cli.model.optimizer([torch.nn.Parameter(torch.zeros(1))])
    assert not getattr(optimizer, "_step_supports_amp_scaling", False)


def test_the_diffusion_transformer_has_its_published_size() -> None:
    cli = build(CONFIGS / "model" / "stable_audio_muq.yaml")
    assert sum(parameter.numel() for parameter in cli.model.model.network.parameters()) == 1_056_828_544


def test_the_model_in_the_box_fits_its_box(capsys: pytest.CaptureFixture[str]) -> None:
    """36 MiB, no file over 16; stage 2 in bytes, all else in half precision; the text encoder is a package."""
    parts = {"text2muq": "embeddings", "stable_audio_muq": "latents", "oobleck_vae": "audio"}
    sizes = {}
    for name, data in parts.items():
        cli = build(CONFIGS / "model" / f"{name}_default.yaml", CONFIGS / "data" / f"{data}.yaml")
        sizes[name] = mebibytes(cli.model.model, narrowed=data == "latents")
    sizes["joint"] = mebibytes(build(CONFIGS / "model" / "joint_embedder.yaml").model.model)
    with capsys.disabled():
        print({name: round(size, 2) for name, size in sizes.items()}, f"{sum(sizes.values()):.2f} MiB")
    assert all(size <= 15.9 for size in sizes.values())  # and what the file says of its tensors
    assert sum(sizes.values()) <= 35.9


def mebibytes(model: torch.nn.Module, narrowed: bool = False) -> float:
    """Of all that a model folder holds, at 16 bits each number, or with larger matrices as bytes."""
    state = model.state_dict()
    state = narrow_matrices(state, state) if narrowed else state
    return sum(min(2, tensor.itemsize) * tensor.numel() for tensor in state.values()) / 2**20


def test_what_is_predicted_lies_apart_from_songs_that_are_rendered() -> None:
    recipe = yaml.safe_load((CONFIGS / "trainer" / "predict_audio.yaml").read_text())
    (writer,) = recipe["trainer"]["callbacks"]
    predicted = Path(writer["init_args"]["folder"])
    readme = (CONFIGS.parent / "README.md").read_text()
    assert f"`{predicted}`" in readme
    rendered = {Path(folder) for folder in re.findall(r"musegen render (\S+)", readme)}
    for file in EXPERIMENTS:
        data = (yaml.safe_load(file.read_text()).get("data") or {}).get("init_args", {})
        rendered |= {Path(folder) for split in ("train", "val") for folder in data.get(split, [])}
    assert Path("out/audio/train") in rendered
    for folder in rendered:
        assert not folder.is_relative_to(predicted), folder
        assert not predicted.is_relative_to(folder), folder
