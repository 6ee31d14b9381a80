"""What the Lab does: clouds of one prompt, ways between two points, sums of points, neighbours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from musegen.app.store.record import ID, Lineage, Record, shortened
from musegen.app.store.search import nearest
from musegen.app.work.geometry import combined, stops
from musegen.app.work.job import Job
from musegen.app.work.making import of_embeddings
from musegen.app.work.wishes import Style, check_prompt
from musegen.app.work.workshop import Workshop

MAX_SAMPLES, MAX_STOPS, CLOUD_STEPS = 256, 12, 10
PIECE = re.compile(r"corpus:([0-9]{1,9})(?: |$)")
DRAWN = re.compile(r"(?:cloud:([0-9]{1,3}):([0-9]{1,4})|answer:([0-9]{1,3}))")


@dataclass(frozen=True, eq=False)
class Cloud:
    """Many embeddings of one prompt, of which no audio is made.

    Args:
        prompt: what all of them answer.
        vectors: unit vectors ``[samples, dim]``.
        answer: the one embedding that a regression has for the prompt, ``[dim]``; of a model without one the samples'
            mean, which is what a regression that is trained on squared error would answer at best.
        regression: whether it is a regression's.
    """

    prompt: str
    vectors: np.ndarray
    answer: np.ndarray
    regression: bool

    @property
    def answer_is(self) -> str:
        """Whose answer it is, in words."""
        whose = "the regression’s answer" if self.regression else f"the mean of {len(self.vectors)} samples"  # noqa: RUF001
        return f"{whose} to “{self.prompt}”"


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


def piece_name(number: int, title: str) -> str:
    """How a piece of the corpus is named where points are: its number, and its title for those who read it."""
    return f"corpus:{number} {title}"


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
    baseline = workshop.baseline
    if baseline is None:
        return Cloud(prompt, vectors.numpy(), vectors.mean(0).numpy(), regression=False)
    with workshop.turns.take(job.user):
        return Cloud(prompt, vectors.numpy(), baseline.answer(prompt)[0].numpy(), regression=True)


def place(workshop: Workshop, named: str, seed: int, user: str = "") -> Place:
    """Find the point that a user named.

    Args:
        workshop: to work in.
        named: a clip's id; a piece of the corpus as `piece_name` writes it; or a prompt, of which it is one sample.
        seed: of that sample.
        user: whose turn it takes.

    Raises:
        ValueError: if it is none of them.
    """
    named = (named or "").strip()
    piece = PIECE.match(named)
    if piece is not None:
        number, corpus = int(piece[1]), workshop.corpus
        if corpus is None or number >= len(corpus.titles):
            raise ValueError(f"there is no piece {number} in the corpus")
        title = corpus.titles[number]
        return Place(torch.from_numpy(corpus.vectors[number].copy()), shortened(title), title, "")
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
    rest = [("\N{MINUS SIGN}", each) for each in taken] + [("+", each) for each in added[1:]]
    words = _cut(added[0].label) + "".join(f" {sign} {_cut(each.label)}" for sign, each in rest)
    return vector, words, tuple(each.id for each in (*added, *taken) if each.id)


def play_sum(
    workshop: Workshop, vector: Tensor, words: str, parents: tuple[str, ...], seed: int, style: Style, job: Job
) -> Iterator[Record]:
    """Make a clip of a sum of points."""
    lineage = [Lineage("sum", parents, words)]
    yield from of_embeddings(workshop, vector[None], [""], [seed], lineage, style, job, titles=[shortened(words)])


@dataclass(frozen=True, eq=False)
class Drawn:
    """A point of a cloud: an embedding without sound, so far.

    Args:
        name: as the map has it: ``cloud:`` and two numbers, ``answer:`` and one.
        vector: of unit length, ``[dim]``.
        title: what it is, in words.
        prompt: that it answers.
    """

    name: str
    vector: Tensor
    title: str
    prompt: str


def drawn_point(clouds: Sequence[Cloud], name: str) -> Drawn:
    """Find a point of a cloud by its name.

    Raises:
        ValueError: if there is none.
    """
    found = DRAWN.fullmatch(name)
    cloud, sample = (int(found[1] or found[3]), found[2]) if found else (len(clouds), None)
    if cloud >= len(clouds) or (sample is not None and int(sample) >= len(clouds[cloud].vectors)):
        raise ValueError("this point is no longer there: draw the cloud again")
    of = clouds[cloud]
    vector = of.answer if sample is None else of.vectors[int(sample)]
    title = of.answer_is if sample is None else f"sample {int(sample) + 1} of “{of.prompt}”"
    return Drawn(name, normalize(torch.from_numpy(vector.copy()), dim=0), title, of.prompt)


def play_drawn(workshop: Workshop, point: Drawn, seed: int, style: Style, job: Job) -> Iterator[Record]:
    """Make a clip of a point of a cloud."""
    lineage = [Lineage("from a cloud", (), point.title)]
    titles = [shortened(point.title)]
    yield from of_embeddings(workshop, point.vector[None], [point.prompt], [seed], lineage, style, job, titles=titles)


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
    """The clips and pieces of the corpus nearest to a point ``[dim]``, nearest first, ``without`` the one so named."""
    known = {f"clip:{id}": each for id, each in points_of(workshop).items()}
    if workshop.corpus is not None:
        known |= {f"corpus:{number}": each for number, each in enumerate(workshop.corpus.vectors)}
    known.pop(without, None)
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
