"""What the Lab does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from musegen.app.acts.desk import Desk
from musegen.app.acts.running import Shown
from musegen.app.store.record import Record
from musegen.app.view import cards, figure
from musegen.app.work import lab, mapping
from musegen.app.work.job import Job
from musegen.app.work.lab import Cloud, Neighbour
from musegen.app.work.wishes import Style, choose_seeds

CLOUDS = 3
"""Clouds that are drawn at once, the last ones."""


@dataclass(frozen=True)
class View:
    """What the map's controls say; its fields are the page's inputs, in their order."""

    colour: str
    solid: bool
    clouds: Sequence[Cloud]


@dataclass(frozen=True)
class Way:
    """What the Lab's form says of how its clips sound; its fields are the page's inputs, in their order."""

    seconds: float | None
    steps: float | None
    seed: str

    def style(self) -> Style:
        """How clips are sampled."""
        return Style(seconds=self.seconds or None, steps=None if self.steps is None else round(self.steps))

    def number(self) -> int:
        """The seed.

        Raises:
            ValueError: if it is none.
        """
        return choose_seeds("fixed", self.seed, None, 1)[0]


def draw(desk: Desk, view: View) -> Shown:
    """The map of everything."""
    drawn = mapping.draw_map(desk.workshop, view.clouds, 3 if view.solid else 2)
    if not drawn.points:
        words = "The map is empty: make some clips, or start the app with --corpus FOLDER."
        return {"lab.map": "", "lab.map_said": cards.notice(words)}
    said = f"{len(drawn.points)} points, laid out by {drawn.method}. Click one to hear it."
    if any(point.group == "mean" for point in drawn.points):
        said += (
            " The cross is the mean of the samples: it stands for a regression model, which can give one answer only."
        )
    return {"lab.map": figure.figure(drawn, view.colour), "lab.map_said": f'<p class="hint">{escape(said)}</p>'}


def cloud(desk: Desk, user: str, prompt: str, samples: float, way: Way, view: View) -> Iterator[Shown]:
    """Many embeddings of one prompt, on the map."""
    found: list[Cloud] = []

    def work(job: Job) -> Iterator[Record]:
        found.append(lab.cloud(desk.workshop, prompt or "", int(samples), way.number(), job))
        return iter(())

    yield from desk.carry_out(user, work, lambda made, done: {})
    if found:
        clouds = [each for each in view.clouds if each.prompt != found[0].prompt][1 - CLOUDS :] + found
        said = cards.notice("Drawing the map …")
        yield {"lab.clouds": clouds, "notice": said}
        yield {**draw(desk, View(view.colour, view.solid, clouds)), "notice": ""}


def between(desk: Desk, user: str, first: str, second: str, count: float, way: Way) -> Iterator[Shown]:
    """Clips on the way from one point to another."""
    seed, style = way.number(), way.style()

    def work(job: Job) -> Iterator[Record]:
        return lab.interpolate(desk.workshop, first or "", second or "", int(count), seed, style, job)

    yield from desk.carry_out(user, work, lambda made, done: show(desk, made))
    yield {"lab.choices": desk.choices()}


def calculate(desk: Desk, user: str, a: str, b: str, c: str, way: Way) -> Iterator[Shown]:
    """A clip of "a - b + c", and what lies near it."""
    seed, style = way.number(), way.style()
    near: list[Neighbour] = []

    def work(job: Job) -> Iterator[Record]:
        vector, words, parents = lab.calculate(desk.workshop, [a or "", c or ""], [b or ""], seed, user)
        near.extend(lab.neighbours(desk.workshop, vector))
        yield from lab.play_sum(desk.workshop, vector, words, parents, seed, style, job)

    def shown(made: list[Record], done: bool) -> Shown:
        return {**show(desk, made), "lab.near": neighbours(near)}

    yield from desk.carry_out(user, work, shown)
    yield {"lab.choices": desk.choices()}


def touch(desk: Desk, name: str) -> Shown:
    """A point of the map that was clicked: its clip to hear, and its neighbours."""
    kind, _, rest = str(name).partition(":")
    if kind == "clip":
        record = desk.workshop.library.get(rest)
        near = lab.neighbours(desk.workshop, desk.workshop.embedding(rest), without=rest)
        return {**show(desk, [record]), "lab.near": neighbours(near)}
    if kind == "corpus" and desk.workshop.corpus is not None and rest.isdigit():
        number, corpus = int(rest), desk.workshop.corpus
        if number >= len(corpus.titles):
            raise ValueError("there is no such piece")
        import torch

        near = lab.neighbours(desk.workshop, torch.from_numpy(corpus.vectors[number].copy()))
        heard = corpus.folder is not None
        return {"lab.cards": piece(number, corpus.titles[number], heard), "lab.near": neighbours(near)}
    words = "This point is an embedding without sound: put its prompt into “between” to hear where it lies."
    return {"notice": cards.notice(words)}


def piece(number: int, title: str, heard: bool) -> str:
    """A piece of the corpus, to hear."""
    words = escape(title, quote=True)
    sound = f'<audio controls preload="none" src="muse/corpus/{number}.flac"></audio>' if heard else ""
    silent = "" if heard else '<p class="hint">Its shards hold no audio.</p>'
    name = f'<div class="name"><h3>{words}</h3><p>from the corpus</p></div>'
    return f'<div class="clips"><article class="clip piece">{name}{sound}{silent}</article></div>'


def neighbours(found: Sequence[Neighbour]) -> str:
    """A list of what lies near, nearest first."""
    if not found:
        return ""
    rows = "".join(
        f'<li><button type="button" class="act" data-do="touch" data-id="{escape(each.name, quote=True)}">'
        f"{escape(each.title)}</button><span>{each.cosine:.2f}</span></li>"
        for each in found
    )
    return f'<h4 class="label">Nearest neighbours</h4><ol class="near-list">{rows}</ol>'


def show(desk: Desk, records: Sequence[Record]) -> Shown:
    """Cards of these clips, in this order."""
    now = desk.workshop.library.of_ids(record.id for record in records)
    html = cards.studio_cards(now, desk.peaks, desk.workshop.closeness_is or "closeness", again=True) if now else ""
    return {"lab.cards": html, "lab.shown": [record.id for record in now]}


def send(desk: Desk, id: str, first: str, second: str) -> Shown:
    """Put a clip into the Lab's first free place."""
    record = desk.workshop.library.get(id)
    place = "lab.first" if not first or second else "lab.second"
    said = cards.notice(f"“{record.title}” is in the Lab.", "good")
    return {"lab.choices": desk.choices(), place: id, "notice": said}
