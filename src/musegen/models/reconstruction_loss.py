"""How far a reconstruction is from its original: losses to train with, and figures to report."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from musegen.config import Configurable
from musegen.nn.spectral import LogMel, ShortTimeFourier


class MultiResolutionSTFT(Configurable, nn.Module):
    """Distance of magnitude spectra at several resolutions, on left/right and on mid/side.

    At each resolution and for each pair of channels: the spectral convergence ``‖|X̂| − |X|‖ / ‖|X|‖`` of the pair
    together, so that a silent side divides nothing by zero, plus the mean absolute difference of log magnitudes. The
    result is the mean over resolutions and pairs; mono audio is one pair of its own.

    "Parallel WaveGAN", 2019, https://arxiv.org/abs/1910.11480; sum and difference as in "Automatic multitrack mixing
    with a differentiable mixing console of neural audio effects", 2020, https://arxiv.org/abs/2010.10291.

    Args:
        sizes: windows of the transforms, samples; each hops by a quarter. Stable Audio Open's by default.
        floor: added to magnitudes before the logarithm, relative to white noise of standard deviation 1: what lies far
            under it is not heard and not learned.
        compile: fuse all that follows the transforms with ``torch.compile``.
    """

    def __init__(
        self, sizes: Sequence[int] = (2048, 1024, 512, 256, 128, 64, 32), floor: float = 5e-4, compile: bool = False
    ) -> None:
        super().__init__()
        if not sizes or floor <= 0:
            raise ValueError(f"expected at least one size and a positive floor, got {list(sizes)} and {floor}")
        self.transforms = nn.ModuleList(ShortTimeFourier(size) for size in sizes)
        self.floor = floor
        self._distance = torch.compile(_distance, dynamic=True) if compile else _distance

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Distances ``[batch]`` of audio ``[batch, channels, samples]``, 0 where equal.

        Raises:
            ValueError: if the shapes differ.
        """
        if estimate.shape != target.shape:
            raise ValueError(f"expected audio shaped {list(target.shape)}, got {list(estimate.shape)}")
        distances = []
        for transform in self.transforms:
            estimated, wanted = (torch.view_as_real(transform(audio)) for audio in (estimate, target))
            distances.append(self._distance(estimated, wanted, self.floor))
        return torch.stack(distances).mean(0)


def _distance(estimate: Tensor, target: Tensor, floor: float) -> Tensor:
    """Distances ``[batch]`` of spectra ``[batch, channels, bands, frames, 2]``, a mean over pairs of channels."""
    distance = _distance_of_pair(estimate, target, floor)
    if target.shape[1] == 2:
        distance = 0.5 * (distance + _distance_of_pair(_mid_side(estimate), _mid_side(target), floor))
    return distance


def _distance_of_pair(estimate: Tensor, target: Tensor, floor: float) -> Tensor:
    estimate, target = _magnitude(estimate), _magnitude(target)
    axes = (1, 2, 3)
    noise = floor * (target.shape[1] * target.shape[2] * target.shape[3]) ** 0.5
    convergence = _norm(estimate - target, axes) / (_norm(target, axes) + noise)
    logarithms = (estimate + floor).log() - (target + floor).log()
    return convergence + logarithms.abs().mean(axes)


def _magnitude(spectrum: Tensor) -> Tensor:
    """As `musegen.nn.spectral.magnitude`, of real and imaginary parts: compilers know no complex numbers."""
    return (spectrum.square().sum(-1) + 1e-12).sqrt()


def _norm(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The Euclidean norm, with a zero gradient at 0."""
    square = x.square().sum(axes)
    zero = square == 0
    return torch.where(zero, 0.0, torch.where(zero, 1.0, square).sqrt())


def _mid_side(spectrum: Tensor) -> Tensor:
    """Left and right to their sum and difference, of the same total energy."""
    left, right = spectrum.unbind(1)
    return torch.stack([left + right, left - right], 1) * 0.5**0.5


def waveform_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of samples, relative to the target's own mean: 1 for silence, whatever the loudness.

    Args:
        estimate: ``[batch, channels, samples]``.
        target: ``[batch, channels, samples]``.

    Returns:
        Distances ``[batch]``.
    """
    return (estimate - target).abs().mean((1, 2)) / (target.abs().mean((1, 2)) + 1e-3)


def energy_distance(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of samples, relative to the target's own: 1 for silence, 0.1 at 10 dB.

    Its gradient grows with the error, so that it leads out of silence, loud low partials first, where the spectra's
    gradients say nothing of phases and that of `waveform_distance` has the same size everywhere.

    Args:
        estimate: ``[batch, channels, samples]``.
        target: ``[batch, channels, samples]``.

    Returns:
        Distances ``[batch]``.
    """
    return (estimate - target).square().mean((1, 2)) / (target.square().mean((1, 2)) + 1e-4)


class MelDistance(nn.Module):
    """Mean absolute difference of log10 mel spectra.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.spectrum = LogMel(sample_rate)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Distances ``[batch]`` of audio ``[batch, channels, samples]``."""
        return (self.spectrum(estimate) - self.spectrum(target)).abs().mean((1, 2, 3))


def scale_invariant_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio in dB, ``[batch]``, mean over channels; higher is better.

    "SDR - half-baked or well done?", 2018, https://arxiv.org/abs/1811.02508.

    Args:
        estimate: ``[batch, channels, samples]``.
        target: ``[batch, channels, samples]``.
    """
    estimate = estimate.float() - estimate.float().mean(-1, keepdim=True)
    target = target.float() - target.float().mean(-1, keepdim=True)
    tiny = torch.finfo(torch.float32).tiny
    scale = (estimate * target).sum(-1, keepdim=True) / target.square().sum(-1, keepdim=True).clamp(min=tiny)
    signal = (scale * target).square().sum(-1)
    distortion = (estimate - scale * target).square().sum(-1)
    floor = 1e-10 * estimate.shape[-1]
    return (10 * ((signal + floor) / (distortion + floor)).log10()).mean(-1)
