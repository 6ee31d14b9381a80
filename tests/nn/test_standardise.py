from __future__ import annotations

import pytest
import torch

from musegen.nn.standardise import Standardiser


@pytest.fixture
def data() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    scale = torch.tensor([0.04, 1.0, 7.0])[:, None]
    return torch.randn(64, 3, 10, generator=generator) * scale + torch.tensor([5.0, 0.0, -2.0])[:, None]


def test_begins_as_the_identity(data: torch.Tensor) -> None:
    standardiser = Standardiser(3)
    assert torch.equal(standardiser.standardise(data), data)
    assert torch.equal(standardiser.restore(data), data)


def test_standardises_and_restores(data: torch.Tensor) -> None:
    standardiser = Standardiser(3)
    standardiser.set(data.mean((0, 2)), data.std((0, 2)))
    small = standardiser.standardise(data)
    torch.testing.assert_close(small.mean((0, 2)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(small.std((0, 2)), torch.ones(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardiser.restore(small), data, atol=1e-5, rtol=0)


def test_an_embedding_has_channels_only(data: torch.Tensor) -> None:
    standardiser = Standardiser(3)
    standardiser.set(1.0, 2.0)
    assert torch.equal(standardiser.standardise(data[:, :, 0]), (data[:, :, 0] - 1) / 2)


def test_isotropic_keeps_angles(data: torch.Tensor) -> None:
    standardiser = Standardiser(3, isotropic=True)
    mean, std = data.mean((0, 2)), data.std((0, 2))
    standardiser.set(mean, std)
    assert standardiser.std.unique().numel() == 1
    small = standardiser.standardise(data)
    torch.testing.assert_close(small.square().mean(), torch.ones(()), atol=1e-2, rtol=0)
    centred = data - mean[:, None]
    torch.testing.assert_close(
        torch.cosine_similarity(small[:32], small[32:], dim=1),
        torch.cosine_similarity(centred[:32], centred[32:], dim=1),
        atol=1e-4,
        rtol=0,
    )


def test_statistics_travel_in_the_state_dict(data: torch.Tensor) -> None:
    standardiser, other = Standardiser(3), Standardiser(3)
    standardiser.set(data.mean((0, 2)), data.std((0, 2)))
    other.load_state_dict(standardiser.state_dict(), strict=True)
    assert torch.equal(other.standardise(data), standardiser.standardise(data))


def test_half_precision_rounds_the_data_only(data: torch.Tensor) -> None:
    standardiser = Standardiser(3)
    standardiser.set(data.mean((0, 2)), data.std((0, 2)))
    exact = standardiser.standardise(data)
    cast = torch.nn.Sequential(standardiser, torch.nn.Linear(2, 2)).to(torch.bfloat16)[0]
    assert isinstance(cast, Standardiser)
    assert cast.std.dtype == torch.float32
    assert torch.equal(cast.standardise(data), exact)
    assert cast.standardise(data.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        (torch.zeros(4), 1.0, r"mean: expected one number or 3, got shape \(4,\)"),
        (0.0, torch.tensor([1.0, 0.0, 1.0]), "std: expected positive finite numbers, got 0.0 to 1.0"),
        (float("nan"), 1.0, "mean: expected finite numbers"),
        (0.0, float("inf"), "std: expected positive finite numbers"),
    ],
)
def test_statistics_that_make_no_sense_are_named(mean: object, std: object, message: str) -> None:
    standardiser = Standardiser(3)
    with pytest.raises(ValueError, match=message):
        standardiser.set(mean, std)  # type: ignore[arg-type]
    assert torch.equal(standardiser.std, torch.ones(3))
