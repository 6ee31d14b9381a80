"""Our diffusion transformer against two independent ones: names, shapes, counts and values."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from helpers import randomise
from musegen.models.diffusion_transformer import DiffusionTransformer
from published_transformers import (
    NARROW_MODULATED,
    NARROW_OPEN,
    NARROW_SMALL,
    OPEN,
    SMALL,
    Size,
    diffusers_names,
    diffusers_transformer,
    example,
    run_diffusers,
    run_stable_audio,
    stable_audio_transformer,
)


def shapes(state: dict[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(value.shape) for key, value in state.items()}


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize(("variant", "expected"), [(OPEN, 1_056_828_544), (SMALL, 340_879_488)], ids=["open", "small"])
def test_full_size_agrees_with_stable_audio_tools(variant: Size, expected: int) -> None:
    with torch.device("meta"):
        ours, theirs = DiffusionTransformer(**variant.ours), stable_audio_transformer(variant)
    assert count(ours) == expected
    assert shapes(ours.state_dict()) == shapes(theirs.state_dict())


def test_the_defaults_are_stable_audio_open() -> None:
    with torch.device("meta"):
        assert shapes(DiffusionTransformer().state_dict()) == shapes(DiffusionTransformer(**OPEN.ours).state_dict())


def test_full_size_agrees_with_diffusers() -> None:
    with torch.device("meta"):
        ours, theirs = DiffusionTransformer(**OPEN.ours), diffusers_transformer(OPEN)
        renamed = diffusers_names(ours.state_dict())
    assert shapes(renamed) == shapes(theirs.state_dict())
    shifts = sum(value.numel() for key, value in theirs.state_dict().items() if ".norm" in key and key.endswith("bias"))
    assert count(theirs) - shifts == count(ours) == 1_056_828_544


@pytest.mark.parametrize("variant", [NARROW_OPEN, NARROW_SMALL, NARROW_MODULATED], ids=["open", "small", "modulated"])
def test_values_agree_with_stable_audio_tools(variant: Size) -> None:
    ours = randomise(DiffusionTransformer(**variant.ours), scale=0.8).eval()
    theirs = stable_audio_transformer(variant)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert isinstance(ours, DiffusionTransformer)
    given = example(ours, frames=48, tokens=13)
    with torch.no_grad():
        output, published = ours(given.x, given.time, given.condition), run_stable_audio(theirs, given)
    compare(output, published, "stable-audio-tools")


def test_values_agree_with_diffusers() -> None:
    ours = randomise(DiffusionTransformer(**NARROW_OPEN.ours), scale=0.8).eval()
    theirs = diffusers_transformer(NARROW_OPEN)
    theirs.load_state_dict(diffusers_names(ours.state_dict()), strict=True)
    assert isinstance(ours, DiffusionTransformer)
    given = example(ours, frames=48, tokens=13)
    with torch.no_grad():
        output, published = ours(given.x, given.time, given.condition), run_diffusers(theirs, given)
    compare(output, published, "diffusers")


def test_published_weights_load_strictly() -> None:
    theirs = randomise(stable_audio_transformer(NARROW_SMALL), seed=3, scale=0.8)
    ours = DiffusionTransformer(**NARROW_SMALL.ours)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    given = example(ours, frames=16, tokens=4)
    with torch.no_grad():
        compare(ours(given.x, given.time, given.condition), run_stable_audio(theirs, given), "loaded weights")


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("MUSEGEN_FULL_SIZE") != "1", reason="takes minutes and 6 GB: set MUSEGEN_FULL_SIZE=1"
)
def test_full_size_values_agree() -> None:
    ours = randomise(DiffusionTransformer(**OPEN.ours), scale=0.8).eval()
    assert isinstance(ours, DiffusionTransformer)
    given = example(ours, frames=1024, tokens=130, batch=1)
    state = ours.state_dict()
    with torch.no_grad():
        output = ours(given.x, given.time, given.condition)
        del ours
        with torch.device("meta"):
            published = stable_audio_transformer(OPEN), diffusers_transformer(OPEN)
        # the copies share the weights' memory
        published[0].load_state_dict(state, strict=True, assign=True)
        compare(output, run_stable_audio(published[0], given), "stable-audio-tools, full size", relative=True)
        published[1].load_state_dict(diffusers_names(state), strict=True, assign=True)
        compare(output, run_diffusers(published[1], given), "diffusers, full size", relative=True)


def compare(output: torch.Tensor, published: torch.Tensor, what: str, relative: bool = False) -> None:
    std = float(published.std())
    difference = float((output - published).abs().max())
    print(f"{what}: largest difference {difference:.1e} at a standard deviation of {std:.2f}")
    assert std > 0.1
    assert difference <= 1e-5 * (max(1.0, std) if relative else 1.0)
