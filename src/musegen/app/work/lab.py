"""What the Lab does: clouds of one prompt, ways between two points, sums of points, neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from musegen.app.store.record import ID, Lineage, Record, shortened
from musegen.app.store.search import nearest
from musegen.app.work.geometry import combined, stops
from musegen.app.work.job import Job
from musegen.app.work.making import of_embeddings
from musegen.app.work.wishes import Style, check_prompt
from musegen.app.work.workshop import Workshop

MAX_SAMPLES, MAX_STOPS, CLOUD_STEPS = 256, 12, 10


@dataclass(frozen=True, eq=False)
class Cloud:
    """Many embeddings of one prompt, of which no audio is made.

    Args:
        prompt: what all of them answer.
        vectors: unit vectors ``[samples, dim]``.
        mean: of them, ``[dim]``: what a regression that is trained on squared error would answer at best.
    """

    prompt: str
    vectors: np.ndarray
    mean: np.ndarray


@dataclass(frozen=True, eq=False)
class Place:
    """A point that a user named.

    Args:
        vector: ``[dim]``, of unit length.
        label: the prompt, or the name of the clip.
        prompt: of it; empty for imported audio.
        id: of the clip; empty for a prompt.
    """

    vector: Tensor
    label: str
    prompt: str
    id: str


def cloud(workshop: Workshop, prompt: str, samples: int, seed: int, job: Job) -> Cloud:
    """Sample stage 1 many times for one prompt.

    Raises:
        ValueError: for what a user can get wrong.
        CancelledError: if the job was cancelled.
    """
    prompt = check_prompt(prompt)
    if not 2 <= samples <= MAX_SAMPLES:
        raise ValueError(f"samples: expected 2 to {MAX_SAMPLES}, got {samples}")
    parts = []
    job.total = int(samples)
    for first in range(0, int(samples), 8):
        seeds = range(seed + first, seed + min(first + 8, int(samples)))
        with workshop.turns.take(job.user):
            parts.append(workshop.pipeline.embed(prompt, seeds, job.told, stage1_steps=CLOUD_STEPS))
        job.done = first + len(seeds)
        job.share = job.done / job.total
    vectors = torch.cat(parts)
    return Cloud(prompt, vectors.numpy(), vectors.mean(0).numpy())


def place(workshop: Workshop, named: str, seed: int, user: str = "") -> Place:
    """Find the point that a user named by a clip's id or a prompt; of a prompt, one sample with this seed.

    Raises:
        ValueError: if it is neither.
    """
    named = (named or "").strip()
    if ID.fullmatch(named):
        record = workshop.library.get(named)
        return Place(workshop.embedding(named), record.title, record.prompt, named)
    prompt = check_prompt(named)
    with workshop.turns.take(user):
        return Place(workshop.pipeline.embed(prompt, seed)[0], shortened(prompt), prompt, "")


def interpolate(
    workshop: Workshop, first: str, second: str, count: int, seed: int, style: Style, job: Job
) -> Iterator[Record]:
    """Make a clip of every stop on the way from one point to another, all with one seed.

    Args:
        workshop: to work in.
        first: a clip's id or a prompt.
        second: likewise.
        count: stops, both ends included.
        seed: of every stop, so that the embedding alone changes.
        style: how.
        job: for progress and cancelling.
    """
    if not 2 <= count <= MAX_STOPS:
        raise ValueError(f"stops: expected 2 to {MAX_STOPS}, got {count}")
    ends = place(workshop, first, seed, job.user), place(workshop, second, seed, job.user)
    parents = tuple(end.id for end in ends if end.id)
    labels = [f"“{end.label}”" for end in ends]
    lineage = [
        Lineage("between", parents, f"stop {number} of {count} from {labels[0]} to {labels[1]}")
        for number in range(1, count + 1)
    ]
    short = [_cut(end.label) for end in ends]
    titles = [f"{short[0]} → {short[1]}, {number} of {count}" for number in range(1, count + 1)]
    prompts = [ends[0].prompt if number < count / 2 else ends[1].prompt for number in range(count)]
    way = stops(ends[0].vector, ends[1].vector, count)
    yield from of_embeddings(workshop, way, prompts, [seed] * count, lineage, style, job, titles=titles)


def calculate(
    workshop: Workshop, plus: Sequence[str], minus: Sequence[str], seed: int, user: str = ""
) -> tuple[Tensor, str, tuple[str, ...]]:
    """Add points and subtract others.

    Returns:
        The unit vector ``[dim]``, its formula in words, and the ids of the clips in it.

    Raises:
        ValueError: if nothing is named, or the terms cancel out.
    """
    added = [place(workshop, named, seed, user) for named in plus if named and named.strip()]
    taken = [place(workshop, named, seed, user) for named in minus if named and named.strip()]
    if not added:
        raise ValueError("Name at least the first term: a clip of the library, or a few words.")
    vector = combined([each.vector for each in added], [each.vector for each in taken])
    words = " + ".join(_cut(each.label) for each in added) + "".join(
        f" \N{MINUS SIGN} {_cut(each.label)}" for each in taken
    )
    return vector, words, tuple(each.id for each in (*added, *taken) if each.id)


def play_sum(
    workshop: Workshop, vector: Tensor, words: str, parents: tuple[str, ...], seed: int, style: Style, job: Job
) -> Iterator[Record]:
    """Make a clip of a sum of points."""
    lineage = [Lineage("sum", parents, words)]
    yield from of_embeddings(workshop, vector[None], [""], [seed], lineage, style, job, titles=[shortened(words)])


@dataclass(frozen=True)
class Neighbour:
    """Something near a point.

    Args:
        name: ``clip:`` and its id, or ``corpus:`` and its number.
        title: what it is called.
        cosine: to the point.
    """

    name: str
    title: str
    cosine: float


def neighbours(workshop: Workshop, vector: Tensor, count: int = 8, without: str = "") -> list[Neighbour]:
    """The clips and pieces of the corpus nearest to a point ``[dim]``, nearest first."""
    known = {f"clip:{id}": each for id, each in points_of(workshop).items() if id != without}
    if workshop.corpus is not None:
        known |= {f"corpus:{number}": each for number, each in enumerate(workshop.corpus.vectors)}
    found = nearest(vector.numpy(), known, count)
    ids = [name.removeprefix("clip:") for name, _ in found if name.startswith("clip:")]
    titles = {f"clip:{record.id}": record.title for record in workshop.library.of_ids(ids)}
    if workshop.corpus is not None:
        titles |= {f"corpus:{number}": title for number, title in enumerate(workshop.corpus.titles)}
    return [Neighbour(name, titles[name], cosine) for name, cosine in found if name in titles]


def points_of(workshop: Workshop) -> dict[str, np.ndarray]:
    """Every clip's point, by id: what it was generated from or, of imported audio, what is heard in it."""
    space = workshop.ears.space
    return workshop.library.vectors("heard", space) | workshop.library.vectors("told", space)


def _cut(label: str, most: int = 42) -> str:
    return label if len(label) <= most else f"{label[: most - 1]}…"
