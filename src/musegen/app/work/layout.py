"""Laying vectors out in two or three dimensions."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import OrderedDict
from contextlib import suppress

import numpy as np

FEWEST = 16
"""Under so many points UMAP has no neighbourhoods to keep; principal components are drawn instead."""

NEIGHBOURS = 15
"""What UMAP keeps together; its own default."""

COMPILED = ("smooth_knn_dist", "compute_membership_strengths")
"""Functions of UMAP that numba compiles for longer than a map takes."""

KEPT = 16
_LOCK = threading.Lock()
_KNOWN: OrderedDict[str, np.ndarray] = OrderedDict()


def lay_out(vectors: np.ndarray, dimensions: int) -> tuple[np.ndarray, str]:
    """Lay vectors ``[points, dim]`` out in two or three dimensions.

    Returns:
        Places ``[points, dimensions]``, and the name of the method.

    Raises:
        ValueError: for another number of dimensions.
    """
    if dimensions not in (2, 3):
        raise ValueError(f"dimensions: expected 2 or 3, got {dimensions}")
    if len(vectors) < FEWEST:
        return _principal(vectors, dimensions), f"principal components (UMAP from {FEWEST} points on)"
    name = hashlib.sha256(np.ascontiguousarray(vectors, "<f4").tobytes() + bytes([dimensions])).hexdigest()
    with _LOCK:  # one at a time: a map takes seconds
        if name not in _KNOWN:
            _KNOWN[name] = _umap(vectors, dimensions)
            while len(_KNOWN) > KEPT:
                _KNOWN.popitem(last=False)
        return _KNOWN[name], "UMAP, cosine"


def place_among(vector: np.ndarray, vectors: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Where a point belongs that the map was not laid out with: among the places of its nearest neighbours.

    It is their mean, the nearer ones counting more, as UMAP begins with a point that it did not know; so a map does not
    change when an answer is drawn into it.

    Args:
        vector: ``[dim]``, of any length.
        vectors: of the map, ``[points, dim]``.
        places: theirs, ``[points, dimensions]``.

    Returns:
        A place ``[dimensions]``.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    apart = 1 - units @ (vector / max(float(np.linalg.norm(vector)), 1e-9))
    near = np.argsort(apart, kind="stable")[:NEIGHBOURS]
    beyond = apart[near] - apart[near[0]]
    weights = np.exp(-beyond / max(float(beyond.mean()), 1e-6))
    return (weights @ places[near] / weights.sum()).astype(np.float32)


def nearest_of_all(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Each vector's nearest ones by cosine distance, itself first; exact.

    Returns:
        Their indices and their distances, both ``[points, count]``.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    indices = np.empty((len(units), count), np.int32)
    distances = np.empty((len(units), count), np.float32)
    for first in range(0, len(units), 512):
        apart = 1 - units[first : first + 512] @ units.T
        rows = np.arange(len(apart))
        apart[rows, first + rows] = -1  # also before equal ones
        order = np.argsort(apart, axis=1, kind="stable")[:, :count]
        indices[first + rows] = order
        distances[first + rows] = np.maximum(np.take_along_axis(apart, order, axis=1), 0)
    return indices, distances


def _umap(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """McInnes et al., "UMAP: uniform manifold approximation and projection" (2018), https://arxiv.org/abs/1802.03426."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP, umap_

        for name in COMPILED:
            with suppress(AttributeError, RuntimeError):  # another version, or no folder that can be written to
                getattr(umap_, name).enable_caching()  # for the next process
        near = nearest_of_all(vectors, min(NEIGHBOURS, len(vectors) - 1))
        made = UMAP(
            n_components=dimensions,
            n_neighbors=near[0].shape[1],
            metric="cosine",
            init="pca",
            random_state=0,
            n_jobs=1,
            precomputed_knn=near,  # without it, UMAP compiles a search of its own first
        ).fit_transform(vectors)
    return np.asarray(made, np.float32)


def _principal(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    places = np.zeros((len(vectors), dimensions), np.float32)
    if len(vectors) > 1:
        left, spread, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
        kept = min(dimensions, len(spread))
        places[:, :kept] = left[:, :kept] * spread[:kept]
    return places
