"""Fréchet distances of Gaussians whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from musegen.metrics.frechet import distances, extrapolate, frechet_distance, moments


def random_covariance(seed: int, dim: int = 6) -> np.ndarray:
    matrix = np.random.Generator(np.random.Philox(seed)).standard_normal((dim, dim))
    return matrix @ matrix.T + 0.1 * np.eye(dim)


def clips(count: int, dim: int, shift: float, seed: int, windows: int = 4) -> list[np.ndarray]:
    chance = np.random.Generator(np.random.Philox(seed))
    return list(shift + chance.standard_normal((count, windows, dim)))


def test_the_closed_form() -> None:
    """Commuting covariances: the sum of squared differences of means and of standard deviations."""
    first, second = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    found = frechet_distance(np.zeros(3), np.diag(first), np.array([1.0, 2.0, 2.0]), np.diag(second))
    assert found == pytest.approx(9 + 1 + 0 + 4)


def test_the_general_form_is_that_of_a_matrix_root() -> None:
    first, second = random_covariance(1), random_covariance(2)
    expected = np.trace(first + second - 2 * np.real(sqrtm(first @ second)))
    assert frechet_distance(np.ones(6), first, np.ones(6), second) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(np.ones(6), first, np.ones(6), first) == pytest.approx(0, abs=1e-8)


def test_singular_covariances_do_no_harm() -> None:
    flat = np.zeros((4, 4))
    assert frechet_distance(np.zeros(4), flat, np.ones(4), flat) == pytest.approx(4)


def test_the_limit_is_nearer_the_truth() -> None:
    """Two sets of one distribution are at distance 0; few windows say more."""
    first, second = clips(60, 20, 0.0, 1), clips(60, 20, 0.0, 2)
    plain = frechet_distance(*moments(first), *moments(second))
    assert plain > 0.3
    assert abs(extrapolate(first, second)) < 0.5 * plain


def test_the_interval_holds_the_value_and_shrinks() -> None:
    few, many = (distances(clips(count, 8, 0.0, 1), clips(count, 8, 0.5, 2))[0] for count in (20, 200))
    for found in (few, many):
        assert found.low < found.value < found.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    assert few.count == 20
