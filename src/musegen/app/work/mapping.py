"""The Lab's map: points of the embedding space, laid out in two or three dimensions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musegen.app.work.lab import Cloud, points_of
from musegen.app.work.layout import lay_out, place_among
from musegen.app.work.workshop import Workshop

VOTERS = 5


@dataclass(frozen=True)
class Point:
    """A point of the map.

    Args:
        name: ``clip:`` and its id, ``corpus:`` and a number, ``cloud:`` or ``answer:`` and numbers.
        group: ``corpus``, ``library``, ``takes``, ``cloud``; ``regression`` or ``mean`` for one answer to a prompt.
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
    for number, cloud in enumerate(clouds):  # drawn into the map that the samples make, inside of which it belongs
        points.append(_answer(workshop, number, cloud))
        places = np.concatenate([places, place_among(cloud.answer, vectors, places[: len(vectors)])[None]])
    return Map(points, places, method)


def gather(workshop: Workshop, clouds: Sequence[Cloud] = ()) -> tuple[list[Point], np.ndarray]:
    """All points that make the map, and their unit vectors ``[points, dim]``."""
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
    return points, np.stack(vectors) if vectors else np.zeros((0, workshop.ears.embedder.dim), np.float32)


def _answer(workshop: Workshop, number: int, cloud: Cloud) -> Point:
    """The one answer to a cloud's prompt."""
    group, genre = "regression" if cloud.regression else "mean", _vote(workshop, cloud.answer)
    return Point(f"answer:{number}", group, cloud.answer_is, cloud.prompt, genre)


def _vote(workshop: Workshop, vector: np.ndarray) -> str:
    """The genre that most of the nearest pieces of the corpus have; empty without a corpus."""
    corpus = workshop.corpus
    if corpus is None or not any(corpus.genres):
        return ""
    best = np.argsort(-(corpus.vectors @ vector), kind="stable")[:VOTERS]
    return Counter(corpus.genres[number] for number in best).most_common(1)[0][0]
