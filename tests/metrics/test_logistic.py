"""Logistic regression beside scikit-learn's, areas under curves beside counting pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from helpers import require
from musegen.metrics.logistic import Logistic, area_under_curve


def drawn(seed: int, clips: int = 80, dim: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Features of very different sizes, and three names that depend on them, the last a rare one."""
    chance = np.random.Generator(np.random.Philox(seed))
    features = chance.standard_normal((clips, dim)) * np.logspace(-3, 3, dim) + 5
    scaled = (features - features.mean(0)) / features.std(0)
    scores = scaled @ chance.standard_normal((dim, 3)) + chance.standard_normal((clips, 3))
    return features, scores > np.diag(np.quantile(scores, [0.5, 0.7, 0.95], 0))


@pytest.mark.parametrize("decay", [0.003, 0.1, 3.0])
def test_it_is_scikit_learns(decay: float) -> None:
    linear_model: Any = require("sklearn.linear_model")
    features, labels = drawn(1)
    ours = Logistic.fit(features, labels, decay)
    scaled = (features - features.mean(0)) / features.std(0)
    for name in range(3):
        theirs = linear_model.LogisticRegression(C=1 / (decay * len(features)), tol=1e-10, max_iter=10_000)
        theirs.fit(scaled, labels[:, name])
        assert ours.weight[name] == pytest.approx(theirs.coef_[0], abs=2e-5)
        assert ours.bias[name] == pytest.approx(theirs.intercept_[0], abs=2e-5)
        assert ours.logits(features)[:, name] == pytest.approx(theirs.decision_function(scaled), abs=1e-4)


def test_a_feature_that_never_changes_says_nothing() -> None:
    features, labels = drawn(2)
    more = np.concatenate([features, np.full((len(features), 1), 7.0)], 1)
    assert Logistic.fit(more, labels).logits(more) == pytest.approx(Logistic.fit(features, labels).logits(features))


def test_names_are_fitted_each_on_its_own() -> None:
    features, labels = drawn(3)
    alone = Logistic.fit(features, labels[:, 1:2])
    assert Logistic.fit(features, labels).weight[1] == pytest.approx(alone.weight[0], abs=2e-5)


@pytest.mark.parametrize(("clips", "labels"), [(1, 1), (3, 2)])
def test_what_cannot_be_fitted(clips: int, labels: int) -> None:
    with pytest.raises(ValueError, match=rf"expected labels for two clips or more, got {clips} clips, {labels} labels"):
        Logistic.fit(np.zeros((clips, 2)), np.zeros((labels, 1), bool))


@pytest.mark.parametrize("seed", range(5))
def test_areas_count_pairs(seed: int) -> None:
    chance = np.random.Generator(np.random.Philox(seed))
    scores, labels = chance.integers(0, 6, 40).astype(float), chance.random(40) < 0.3  # with many ties
    pairs = [(mine > other) + 0.5 * (mine == other) for mine in scores[labels] for other in scores[~labels]]
    assert area_under_curve(scores, labels) == pytest.approx(np.mean(pairs))
    assert area_under_curve(-scores, labels) == pytest.approx(1 - np.mean(pairs))


def test_areas_without_pairs() -> None:
    assert area_under_curve(np.array([1.0, 2.0]), np.array([False, True])) == 1
    assert area_under_curve(np.array([2.0, 2.0]), np.array([False, True])) == 0.5
    assert math.isnan(area_under_curve(np.array([1.0, 2.0]), np.array([True, True])))
    assert math.isnan(area_under_curve(np.array([1.0, 2.0]), np.array([False, False])))


def test_more_features_than_clips() -> None:
    """The gradient vanishes, counted from the definition."""
    chance = np.random.Generator(np.random.Philox(4))
    features, labels = chance.standard_normal((20, 50)), chance.random((20, 2)) < 0.5
    one = Logistic.fit(features, labels, 0.05)
    scaled = (features - features.mean(0)) / features.std(0)
    excess = 1 / (1 + np.exp(-one.logits(features))) - labels
    assert excess.T @ scaled / 20 + 0.05 * one.weight == pytest.approx(0, abs=1e-6)
    assert excess.mean(0) == pytest.approx(0, abs=1e-6)
    assert np.abs(one.weight).max() > 0.1
