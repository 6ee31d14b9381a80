"""What a loss is worth: the loss of the best predictor that knows the data's spectrum and nothing of its conditions.

On a path with unit-variance isotropic data the best uninformed loss is π/2 under uniform times; real data is not
isotropic, and a network that has learned the data's covariance alone goes far under that. So the floor is measured: fit
a Gaussian to training data, and give the loss that its optimal (linear) predictor has on held-out data, in closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.flow.paths.base import Path


class GaussianFloor:
    """The optimal predictor for Gaussian data, fitted to samples.

    Embeddings ``[items, dim]`` get a full covariance. Latents ``[items, channels, frames]`` are taken as a stationary
    process: one channel covariance for each frequency over the frames, smoothed over neighbouring frequencies until it
    has enough samples. Covariances are shrunk towards a multiple of the identity ("Shrinkage Algorithms for MMSE
    Covariance Estimation", 2010, https://arxiv.org/abs/0907.4698), so that few samples do no harm.

    Args:
        data: training items, standardised as the network sees them.
    """

    def __init__(self, data: Tensor) -> None:
        data = data.double()
        self.mean = data.mean(0) if data.ndim == 2 else data.mean((0, 2), keepdim=True)[0]
        spectra = _spectra(data - self.mean)
        samples, _, dim = spectra.shape
        neighbours = max(0, -(-8 * dim // samples) // 2) if data.ndim == 3 else 0
        covariance = torch.einsum("nfc,nfd->fcd", spectra.conj(), spectra) / samples
        covariance, width = _smooth(covariance, neighbours, data.shape[-1])
        self.variances, self.directions = torch.linalg.eigh(_shrink(covariance, samples * width))

    def loss(self, data: Tensor, path: Path, times: Tensor) -> float:
        """Mean squared error per element on held-out data.

        Args:
            data: held-out items, shaped like the training items.
            path: says what is predicted.
            times: draws (or quantiles) of the times in use, ``[n]``.
        """
        spectra = _spectra(data.double() - self.mean)
        projected = torch.einsum("nfc,fcd->nfd", spectra, self.directions.to(spectra.dtype))
        held_out = projected.abs().square().mean(0)
        weights = _frequency_weights(data).unsqueeze(1).expand_as(held_out)
        one, zero = torch.ones((), dtype=torch.double), torch.zeros((), dtype=torch.double)
        total = 0.0
        for time in times.double():
            alpha, sigma = path.alpha(time), path.sigma(time)
            of_data, of_noise = path.target(one, zero, time), path.target(zero, one, time)
            gain = (of_data * alpha * self.variances + of_noise * sigma) / (alpha**2 * self.variances + sigma**2)
            error = (of_data - gain * alpha) ** 2 * held_out + (of_noise - gain * sigma) ** 2
            total += float((error * weights).sum() / weights.sum())
        return total / len(times)


def _spectra(data: Tensor) -> Tensor:
    """``[items, frequencies, channels]``; an embedding has one frequency."""
    if data.ndim == 2:
        return data.unsqueeze(1)
    return torch.fft.rfft(data, norm="ortho").transpose(1, 2)


def _frequency_weights(data: Tensor) -> Tensor:
    """How many of the full spectrum's frequencies each one stands for."""
    if data.ndim == 2:
        return torch.ones(1, dtype=torch.double)
    weights = torch.full((data.shape[-1] // 2 + 1,), 2.0, dtype=torch.double)
    weights[0] = 1.0
    if data.shape[-1] % 2 == 0:
        weights[-1] = 1.0
    return weights


def _smooth(covariance: Tensor, neighbours: int, frames: int) -> tuple[Tensor, int]:
    """Average over up to ``neighbours`` frequencies on each side; returns how many were averaged.

    Beyond either end of the half spectrum is the other half, which for real data is the conjugate of this one.
    """
    frequencies = covariance.shape[0]
    neighbours = min(neighbours, (frequencies - 1) // 2)
    if neighbours == 0:
        return covariance, 1
    indices = torch.arange(frequencies).unsqueeze(1) + torch.arange(-neighbours, neighbours + 1)
    mirrored = (indices < 0) | (indices >= frequencies)
    near = covariance[torch.where(mirrored, torch.where(indices < 0, -indices, frames - indices), indices)]
    return torch.where(mirrored[..., None, None], near.conj(), near).mean(1), 2 * neighbours + 1


def _shrink(covariance: Tensor, samples: int) -> Tensor:
    """Oracle-approximating shrinkage of each ``[dim, dim]`` towards a multiple of the identity."""
    dim = covariance.shape[-1]
    trace = covariance.diagonal(dim1=-2, dim2=-1).real.sum(-1)
    square = covariance.abs().square().sum((-2, -1))
    numerator = (1 - 2 / dim) * square + trace**2
    denominator = (samples + 1 - 2 / dim) * (square - trace**2 / dim)
    share = torch.where(denominator > 0, (numerator / denominator).clamp(max=1.0), torch.ones_like(trace))
    share = share[:, None, None]
    identity = torch.eye(dim, dtype=covariance.dtype) * (trace / dim)[:, None, None]
    return (1 - share) * covariance + share * identity
