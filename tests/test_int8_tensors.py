"""Matrices as bytes: as near as 255 steps a row can be, and what they cost on disk."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from helpers import randomise
from musegen.checkpoints import WEIGHTS, load_model, save_model
from musegen.commands.convert import convert
from musegen.flow.model import FlowModel
from musegen.int8_tensors import SCALE, narrow, widen
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.nn.precise import Precise


@pytest.fixture(scope="module")
def model() -> FlowModel:
    small = tiny.stable_audio_muq()
    options = small.network.config["init_args"] | {"dim": 128, "heads": 4, "depth": 2}
    network = randomise(DiffusionTransformer(**options), 3)
    return FlowModel(network, small.conditioning, small.path)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, model: FlowModel) -> Path:
    save_model(model, tmp_path / "model", licences=["CC0-1.0"], dtype=torch.int8)
    return tmp_path / "model"


@pytest.mark.parametrize("shape", [(7, 30), (5, 3, 4), (4, 1)])
def test_no_number_moves_by_more_than_half_a_step(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape) * torch.logspace(-6, 6, shape[0]).view(-1, *[1] * (len(shape) - 1))
    steps, scale = narrow(matrix)
    assert steps.dtype == torch.int8
    moved = (widen(steps, scale) - matrix).flatten(1).abs().amax(1)
    assert bool((moved <= 0.5001 * scale).all())
    assert torch.equal(steps.flatten(1).abs().amax(1), torch.full((shape[0],), 127, dtype=torch.int8))


def test_rows_of_zeros_stay_zeros_and_what_is_not_finite_is_not_hidden() -> None:
    matrix = torch.zeros(3, 8)
    matrix[1, 2] = float("nan")
    wide = widen(*narrow(matrix))
    assert torch.equal(wide[::2], matrix[::2])
    assert bool(wide[1].isnan().all())


def test_narrowing_again_changes_nothing() -> None:
    wide = widen(*narrow(torch.randn(64, 100)))
    torch.testing.assert_close(widen(*narrow(wide)), wide, atol=0, rtol=1e-6)


def test_a_model_of_bytes_computes_nearly_the_same(folder: Path, model: FlowModel) -> None:
    loaded = load_model(folder, FlowModel)
    kept = load_file(folder / WEIGHTS)
    scaled = {name.removesuffix(SCALE) for name in kept if name.endswith(SCALE)}
    exact = {
        f"{prefix}.{name}"
        for prefix, module in model.named_modules()
        if isinstance(module, Precise)
        for name, _ in module.named_parameters(recurse=False)
    }
    assert scaled
    assert exact
    assert not scaled & exact
    for name, tensor in model.state_dict().items():
        rounding = 1 / 254 if name in scaled else 0 if name in exact else 1e-3
        moved = (loaded.state_dict()[name] - tensor).abs().max()
        assert moved <= rounding * tensor.abs().max() + 1e-7, name
    assert all(kept[name].dtype == torch.int8 for name in scaled)
    batch = {"embedding": torch.randn(2, 32), "seconds_start": torch.zeros(2), "seconds_total": torch.ones(2)}
    x, time = torch.randn(2, *model.network.shape), torch.tensor([0.3, 0.8])
    with torch.no_grad():
        expected = model.network(x, time, model.condition(batch))
        difference = loaded.network(x, time, loaded.condition(batch)) - expected
    assert 0 < difference.square().mean().sqrt() < 0.03 * expected.std()


def test_it_takes_half_of_what_float16_takes(tmp_path: Path, folder: Path, model: FlowModel) -> None:
    save_model(model, tmp_path / "half", licences=[], dtype=torch.float16)
    sizes = [(path / WEIGHTS).stat().st_size for path in (folder, tmp_path / "half")]
    assert sizes[0] < 0.6 * sizes[1]


def test_convert_writes_and_reads_it(tmp_path: Path, folder: Path, model: FlowModel) -> None:
    wide = convert(folder, tmp_path / "wide")
    for name, tensor in load_model(wide, FlowModel).state_dict().items():
        assert torch.equal(tensor, load_model(folder, FlowModel).state_dict()[name])
    again = convert(wide, tmp_path / "again", dtype="int8")
    assert (again / WEIGHTS).stat().st_size < 0.6 * (wide / WEIGHTS).stat().st_size
    with pytest.raises(ValueError, match="dtype: expected float32, bfloat16 or float16 for diffusers, got int8"):
        convert(folder, tmp_path / "foreign", to="diffusers", dtype="int8")


@pytest.mark.parametrize("scale", [torch.ones(3), torch.ones(128, 2)])
def test_scales_that_do_not_fit_are_one_line(folder: Path, scale: torch.Tensor) -> None:
    kept = load_file(folder / WEIGHTS)
    name = next(name for name in kept if name.endswith(SCALE) and kept[name].shape == (128,))
    save_file({**kept, name: scale}, folder / WEIGHTS)
    with pytest.raises(ValueError, match=r"int8_scale: expected a number for each row of an int8 matrix, got") as error:
        load_model(folder, FlowModel)
    assert "\n" not in str(error.value)
