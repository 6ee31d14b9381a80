"""Maps: groups stay apart, neighbours stay together, and an answer is drawn among its own."""

from __future__ import annotations

import numpy as np
import pytest

from helpers import require
from musegen.app.work.layout import lay_out, nearest_of_all, place_among


@pytest.fixture(scope="module")
def groups() -> np.ndarray:
    """Two groups of unit vectors, ``[2 · 12, 16]``."""
    chance = np.random.default_rng(0)
    vectors = np.concatenate([chance.normal(size=(1, 16)) * 2 + chance.normal(size=(12, 16)) for _ in range(2)])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_umap_keeps_groups_apart(groups: np.ndarray) -> None:
    require("umap")
    places, method = lay_out(groups, 2)
    assert method == "UMAP, cosine"
    own = places.reshape(2, 12, 2)
    spread = np.linalg.norm(own - own.mean(1, keepdims=True), axis=2).mean()
    assert np.linalg.norm(own[0].mean(0) - own[1].mean(0)) > 2 * spread
    again, _ = lay_out(groups, 2)
    assert again is places, "drawn once"
    assert not np.array_equal(lay_out(groups, 3)[0][:, :2], places)


def test_few_points_are_laid_out_by_principal_components() -> None:
    line = np.stack([np.linspace(-1, 1, 9), np.zeros(9), np.ones(9)], axis=1).astype(np.float32)
    places, method = lay_out(line, 2)
    assert method.startswith("principal components")
    assert np.allclose(np.abs(np.diff(places[:, 0])), 0.25, atol=1e-6)
    assert np.allclose(places[:, 1], 0, atol=1e-6)
    assert lay_out(line[:1], 3)[0].tolist() == [[0, 0, 0]]
    with pytest.raises(ValueError, match="2 or 3"):
        lay_out(line, 4)


def test_the_nearest_of_all(groups: np.ndarray) -> None:
    many = np.concatenate([groups] * 25)  # more than one block, and every vector 25 times
    indices, distances = nearest_of_all(many, 15)
    assert (indices[:, 0] == np.arange(len(many))).all(), "itself first, also among equal ones"
    assert np.allclose(distances, 0, atol=1e-5)
    indices, distances = nearest_of_all(groups, 5)
    apart = 1 - groups @ groups.T
    for row in range(len(groups)):
        assert np.allclose(distances[row], np.sort(apart[row])[:5], atol=1e-6)
        assert np.allclose(apart[row, indices[row]], distances[row], atol=1e-6)


def test_an_answer_is_drawn_inside_its_own_group(groups: np.ndarray) -> None:
    places = np.random.default_rng(1).normal(size=(24, 2)).astype(np.float32)
    places[12:] += 50
    for first in (0, 12):
        own = places[first : first + 12]
        inside = place_among(0.3 * groups[first : first + 12].mean(0), groups, places)
        assert (own.min(0) < inside).all()
        assert (inside < own.max(0)).all()
    assert np.allclose(place_among(groups[3], groups[:1], places[:1]), places[0])
