"""How far the distribution of our music is from that of real music."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.figures import Estimate, Figure, interval, resamples
from musegen.metrics.hearing.base import Feature, Sound

ENOUGH = 2000
"""Windows a side under which the distance says more about the number of windows than about the music."""

FRACTIONS = (1.0, 0.8, 0.65, 0.5, 0.4)
REPEATS = 4
DRAWS = 50
NOISE_SECONDS = 60


class FrechetDistance(Metric):
    """The Fréchet distance between Gaussians fitted to the embeddings of windows of music.

    "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", 2017,
    https://arxiv.org/abs/1706.08500; for music "Fréchet audio distance", 2019, https://arxiv.org/abs/1812.08466.

    From few windows it is too high, by an amount that shrinks as one over their number. So a second figure extrapolates
    to infinitely many, as in "Effectively unbiased FID and inception score", 2020, https://arxiv.org/abs/1911.07023.
    Whole prompts are drawn, and whole real pieces, as windows of one clip and clips of one prompt resemble each other.
    Intervals show the spread of a bootstrap around the figure; the extrapolated one has that of the other, though its
    own is somewhat wider.

    The ceiling is the distance from other real music to the reference (without any, between the reference's halves),
    chance that of white noise.

    Args:
        embedder: what describes a window.
    """

    def __init__(self, embedder: AudioEmbedder | None = None) -> None:
        super().__init__()
        self.embedder = embedder or MusicnnEmbedder("MSD")

    def features(self) -> list[Feature]:
        """The embeddings."""
        return [self.embedder]

    def measure(self, sets: Sets) -> list[Figure]:
        """At our number of windows, and extrapolated."""
        title = f"Fréchet distance ({self.embedder.title})"
        if sets.reference is None:
            return [Figure("frechet", title, None, better="lower", note="needs --reference")]
        ours, reference = self._windows(sets.ours), self._windows(sets.reference)
        if min(len(ours), len(reference)) < 2 or min(map(_count, (ours, reference))) < 3:
            return [Figure("frechet", title, None, better="lower", note="needs two clips or more a side")]
        distance, limit = distances(ours, reference)
        real = self._real(sets, reference)
        top, top_limit = distances(*real) if real is not None else (None, None)
        noise = self._noise(reference)
        fewest = min(_count(ours), _count(reference))
        note = f"{_count(ours)} to {_count(reference)} windows"
        if fewest < ENOUGH:
            note += f": {ENOUGH} a side or more are advised"
        distance, limit = (replace(estimate, count=len(sets.ours.pieces)) for estimate in (distance, limit))
        return [
            Figure("frechet", title, distance, top, noise, "lower", note),
            Figure("frechet", f"{title}, N → ∞", limit, top_limit, None, "lower", "extrapolated to endless music"),
        ]

    def _real(self, sets: Sets, reference: list[np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]] | None:
        if sets.truth is not None and sets.truth is not sets.reference:
            return self._windows(sets.truth), reference
        halves = reference[::2], reference[1::2]
        return halves if len(reference) >= 4 else None

    def _windows(self, clips: MusicSet) -> list[np.ndarray]:
        """Of each prompt or real piece, all windows; of each clip, where there is but one prompt."""
        every = [np.asarray(heard["windows"], np.float64) for heard in clips.of(self.embedder)]
        together: dict[str, list[np.ndarray]] = {}
        for group, windows in zip(clips.groups, every, strict=True):
            together.setdefault(group, []).append(windows)
        return [np.concatenate(windows) for windows in together.values()] if len(together) > 1 else every

    def _noise(self, reference: list[np.ndarray]) -> Estimate:
        rate = self.embedder.sample_rate
        generator = torch.Generator().manual_seed(0)
        noise = 0.1 * torch.randn(1, NOISE_SECONDS * rate, generator=generator)
        windows = np.asarray(self.embedder.hear(Sound(noise, rate))["windows"], np.float64)
        return Estimate(frechet_distance(*moments([windows]), *moments(reference)), count=1)


def distances(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[Estimate, Estimate]:
    """The distance between clips, as it is and extrapolated to infinitely many, each with its interval.

    Args:
        first: windows ``[n, dim]`` of each clip.
        second: of each clip of the other side.
    """
    value = frechet_distance(*moments(first), *moments(second))
    drawn = np.array(
        [
            frechet_distance(*moments([first[one] for one in mine]), *moments([second[one] for one in theirs]))
            for mine, theirs in zip(resamples(len(first), DRAWS), resamples(len(second), DRAWS)[::-1], strict=True)
        ]
    )
    low, high = interval(drawn - drawn.mean(), min(len(first), len(second)))
    limit = extrapolate(first, second)
    return (
        Estimate(value, max(0.0, value + low), value + high, len(first)),
        Estimate(limit, limit + low, limit + high, len(first)),
    )


def extrapolate(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """The distance at infinitely many clips: a line through the distances of parts, by the inverse of their size."""
    chance = np.random.Generator(np.random.Philox(0))
    points = []
    for fraction in FRACTIONS:
        for _ in range(1 if fraction == 1 else REPEATS):
            parts = [
                [clips[one] for one in chance.permutation(len(clips))[: max(2, round(fraction * len(clips)))]]
                for clips in (first, second)
            ]
            points.append((1 / fraction, frechet_distance(*moments(parts[0]), *moments(parts[1]))))
    inverse, distance = np.array(points).T
    return float(np.polyfit(inverse, distance, 1)[1])


def moments(clips: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean ``[dim]`` and covariance ``[dim, dim]`` of all windows."""
    windows = np.concatenate(clips)
    return windows.mean(0), np.cov(windows, rowvar=False)


def frechet_distance(mean: np.ndarray, covariance: np.ndarray, mean2: np.ndarray, covariance2: np.ndarray) -> float:
    """The squared Fréchet distance of two Gaussians, ``|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)``.

    The trace of the root is that of ``(Σ₁^½ Σ₂ Σ₁^½)^½``, which is symmetric, so that singular covariances do no harm.
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance2 @ root), 0)).sum()
    squares = float(np.square(mean - mean2).sum() + np.trace(covariance) + np.trace(covariance2) - 2 * cross)
    return max(0.0, squares)


def _count(clips: Sequence[np.ndarray]) -> int:
    return sum(map(len, clips))
