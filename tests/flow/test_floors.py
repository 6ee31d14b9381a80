"""The Gaussian floor on data whose floor is known."""

from __future__ import annotations

import math

import pytest
import torch

from musegen.flow.floors import GaussianFloor
from musegen.flow.paths.rectified import RectifiedFlow

TIMES = (torch.arange(256) + 0.5) / 256


def exact(variances: torch.Tensor) -> float:
    """The mean of variance / (t² variance + (1 − t)²) over directions and times."""
    times = TIMES.double()[:, None]
    return float((variances / (times**2 * variances + (1 - times) ** 2)).mean())


def test_isotropic_embeddings_have_the_floor_pi_over_two() -> None:
    data = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(0))
    assert GaussianFloor(data[:16_000]).loss(data[16_000:], RectifiedFlow(), TIMES) == pytest.approx(math.pi / 2, 0.01)


def test_correlated_embeddings() -> None:
    generator = torch.Generator().manual_seed(1)
    variances = 8.0 / torch.arange(1, 17) ** 2
    rotation, _ = torch.linalg.qr(torch.randn(16, 16, generator=generator))
    data = torch.randn(20_000, 16, generator=generator) * variances.sqrt() @ rotation + 3
    measured = GaussianFloor(data[:16_000]).loss(data[16_000:], RectifiedFlow(), TIMES)
    assert measured == pytest.approx(exact(variances.double()), 0.02)
    assert measured < 0.8 * math.pi / 2  # a blind model that knows the covariance is well under the isotropic floor


def test_latents_are_taken_as_a_stationary_process() -> None:
    generator = torch.Generator().manual_seed(2)
    frames, channels = 64, 3
    frequency = torch.fft.rfftfreq(frames)
    power = 1 / (0.05 + frequency) ** 1.5
    mixing = torch.randn(channels, channels, generator=generator)
    white = torch.fft.rfft(torch.randn(4000, channels, frames, generator=generator), norm="ortho")
    data = torch.fft.irfft(torch.einsum("cd,ndf->ncf", mixing.cfloat(), white * power.sqrt()), n=frames, norm="ortho")
    data = data / data.std()
    channel_variances = torch.linalg.eigvalsh((mixing @ mixing.T).double())
    weights = torch.full((frames // 2 + 1,), 2.0)
    weights[0] = weights[-1] = 1
    spectrum = torch.repeat_interleave(power.double(), weights.long())
    variances = (spectrum[:, None] * channel_variances).flatten()
    variances = variances / variances.mean()
    measured = GaussianFloor(data[:3000]).loss(data[3000:], RectifiedFlow(), TIMES)
    assert measured == pytest.approx(exact(variances), 0.03)


def test_few_samples_do_not_give_a_floor_of_zero() -> None:
    data = torch.randn(80, 64, generator=torch.Generator().manual_seed(3))
    floor = GaussianFloor(data[:40]).loss(data[40:], RectifiedFlow(), TIMES)
    assert floor > 1.4


@pytest.mark.parametrize("frames", [32, 33])
def test_neighbouring_frequencies_are_those_of_the_whole_spectrum(frames: int) -> None:
    data = torch.randn(4, 2, frames, generator=torch.Generator().manual_seed(4)).double()
    data[:, 1] = data[:, 0].roll(1, -1) + 0.1 * data[:, 1]  # so that channels differ in phase
    data = data - data.mean((0, 2), keepdim=True)
    spectra = torch.fft.fft(data, norm="ortho")
    crossed = (spectra[:, 0].conj() * spectra[:, 1]).mean(0)
    whole = torch.stack([crossed.roll(by) for by in range(-2, 3)]).sum(0)  # 8 * 2 channels / 4 items: two on each side
    expected = (whole / whole.abs())[: frames // 2 + 1]
    floor = GaussianFloor(data)
    directions = floor.directions
    fitted = torch.einsum(
        "fc,fc,fc->f", directions[:, 0], floor.variances.to(directions.dtype), directions[:, 1].conj()
    )
    assert torch.allclose(fitted / fitted.abs(), expected)
