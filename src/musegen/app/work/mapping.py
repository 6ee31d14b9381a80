"""The Lab's map: points of the embedding space, laid out in two or three dimensions."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musegen.app.work.lab import Cloud, points_of
from musegen.app.work.workshop import Workshop

FEWEST = 16
"""Under so many points UMAP has no neighbourhoods to keep; principal components are drawn instead."""

VOTERS = 5
_LOCK = threading.Lock()
_KNOWN: OrderedDict[str, np.ndarray] = OrderedDict()


@dataclass(frozen=True)
class Point:
    """A point of the map.

    Args:
        name: ``clip:`` and its id, ``corpus:`` and a number, ``cloud:`` or ``mean:`` and numbers.
        group: ``corpus``, ``library``, ``takes``, ``cloud`` or ``mean``.
        title: what it is called.
        prompt: what it answers; of the corpus, its caption.
        genre: empty where unknown.
        tempo: beats per minute; None where unknown.
        key: empty where unknown.
    """

    name: str
    group: str
    title: str
    prompt: str
    genre: str = ""
    tempo: float | None = None
    key: str = ""


@dataclass(frozen=True, eq=False)
class Map:
    """Points and where they are drawn.

    Args:
        points: what they are.
        places: ``[points, 2 or 3]``.
        method: how they were laid out.
    """

    points: list[Point]
    places: np.ndarray
    method: str


def draw_map(workshop: Workshop, clouds: Sequence[Cloud] = (), dimensions: int = 2) -> Map:
    """Gather all points and lay them out.

    Args:
        workshop: its corpus and its library.
        clouds: besides these.
        dimensions: 2 or 3.
    """
    points, vectors = gather(workshop, clouds)
    places, method = lay_out(vectors, dimensions)
    return Map(points, places, method)


def gather(workshop: Workshop, clouds: Sequence[Cloud] = ()) -> tuple[list[Point], np.ndarray]:
    """All points and their vectors ``[points, dim]``; the mean of a cloud is shorter than 1, all others are not."""
    points: list[Point] = []
    vectors: list[np.ndarray] = []
    corpus = workshop.corpus
    if corpus is not None:
        for number, vector in enumerate(corpus.vectors):
            tempo = corpus.tempos[number]
            known = None if np.isnan(tempo) else tempo
            title = corpus.titles[number]
            points.append(
                Point(f"corpus:{number}", "corpus", title, title, corpus.genres[number], known, corpus.keys[number])
            )
            vectors.append(vector)
    own = points_of(workshop)
    for record in workshop.library.of_ids(own):
        group = "takes" if record.kept is None else "library"
        genre = _vote(workshop, own[record.id])
        name = f"clip:{record.id}"
        points.append(Point(name, group, record.title, record.prompt, genre, record.tempo, record.key))
        vectors.append(own[record.id])
    for number, cloud in enumerate(clouds):
        for sample, vector in enumerate(cloud.vectors):
            title = f"sample {sample + 1} of “{cloud.prompt}”"
            points.append(Point(f"cloud:{number}:{sample}", "cloud", title, cloud.prompt, _vote(workshop, vector)))
            vectors.append(vector)
        title = f"mean of {len(cloud.vectors)} samples: stands for the one answer of a regression to “{cloud.prompt}”"
        points.append(Point(f"mean:{number}", "mean", title, cloud.prompt))
        vectors.append(cloud.mean)
    return points, np.stack(vectors) if vectors else np.zeros((0, workshop.ears.embedder.dim), np.float32)


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
        return _principal(vectors, dimensions), "principal components (UMAP from 16 points on)"
    name = hashlib.sha256(np.ascontiguousarray(vectors, "<f4").tobytes() + bytes([dimensions])).hexdigest()
    with _LOCK:  # one at a time: a map takes seconds and all cores
        if name not in _KNOWN:
            _KNOWN[name] = _umap(vectors, dimensions)
            while len(_KNOWN) > 16:
                _KNOWN.popitem(last=False)
        return _KNOWN[name], "UMAP, cosine"


def _umap(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """McInnes et al., "UMAP: uniform manifold approximation and projection" (2018), https://arxiv.org/abs/1802.03426."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from umap import UMAP

        near = min(15, len(vectors) - 1)
        made = UMAP(
            n_components=dimensions, n_neighbors=near, metric="cosine", init="pca", random_state=0, n_jobs=1
        ).fit_transform(vectors)
    return np.asarray(made, np.float32)


def _principal(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    places = np.zeros((len(vectors), dimensions), np.float32)
    if len(vectors) > 1:
        left, spread, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
        kept = min(dimensions, len(spread))
        places[:, :kept] = left[:, :kept] * spread[:kept]
    return places


def _vote(workshop: Workshop, vector: np.ndarray) -> str:
    """The genre that most of the nearest pieces of the corpus have; empty without a corpus."""
    corpus = workshop.corpus
    if corpus is None or not any(corpus.genres):
        return ""
    best = np.argsort(-(corpus.vectors @ vector), kind="stable")[:VOTERS]
    return Counter(corpus.genres[number] for number in best).most_common(1)[0][0]
