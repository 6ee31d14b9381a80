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
from musegen.app.work.lab import Cloud, Drawn, Neighbour
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


def draw(desk: Desk, view: View) -> Iterator[Shown]:
    """The map of everything; until it is laid out, what is being done."""
    yield {"lab.map_said": hint("Laying out the map …")}
    drawn = mapping.draw_map(desk.workshop, view.clouds, 3 if view.solid else 2)
    if not drawn.points:
        words = "The map is empty: make some clips, or start the app with --corpus FOLDER."
        yield {"lab.map": "", "lab.map_said": cards.notice(words)}
        return
    said = f"{len(drawn.points)} points, laid out by {drawn.method}. Click one to hear it."
    groups = {point.group for point in drawn.points}
    if "regression" in groups:
        said += " The cross is the answer of the regression model: it has one only, however many there are."
    if "mean" in groups:
        said += (
            " The cross is the mean of the samples, since this model has no regression part: it stands for the one "
            "answer that a regression would give at best."
        )
    yield {"lab.map": figure.figure(drawn, view.colour), "lab.map_said": hint(said)}


def cloud(desk: Desk, user: str, prompt: str, samples: float, way: Way, view: View) -> Iterator[Shown]:
    """Many embeddings of one prompt, on the map."""
    found: list[Cloud] = []

    def work(job: Job) -> Iterator[Record]:
        found.append(lab.cloud(desk.workshop, prompt or "", int(samples), way.number(), job))
        return iter(())

    yield from desk.carry_out(user, work, lambda made, done: {})
    if found:
        clouds = [each for each in view.clouds if each.prompt != found[0].prompt][1 - CLOUDS :] + found
        yield {"lab.clouds": clouds}
        yield from draw(desk, View(view.colour, view.solid, clouds))


def between(desk: Desk, user: str, first: str, second: str, count: float, way: Way, view: View) -> Iterator[Shown]:
    """Clips on the way from one point to another, and the map with them."""
    seed, style = way.number(), way.style()

    def work(job: Job) -> Iterator[Record]:
        return lab.interpolate(desk.workshop, first or "", second or "", int(count), seed, style, job)

    yield from desk.carry_out(user, work, lambda made, done: {**show(desk, made), "lab.near": ""})
    yield {"lab.choices": desk.choices()}
    yield from draw(desk, view)


def calculate(desk: Desk, user: str, a: str, b: str, c: str, way: Way, view: View) -> Iterator[Shown]:
    """A clip of "a - b + c", what lies near it, and the map with it."""
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
    yield from draw(desk, view)


def hear(desk: Desk, user: str, name: str, way: Way, view: View) -> Iterator[Shown]:
    """A clip of a point of a cloud, and the map with it."""
    point, seed, style = lab.drawn_point(view.clouds, name), way.number(), way.style()

    def work(job: Job) -> Iterator[Record]:
        return lab.play_drawn(desk.workshop, point, seed, style, job)

    yield from desk.carry_out(user, work, lambda made, done: show(desk, made))
    yield {"lab.choices": desk.choices()}
    yield from draw(desk, view)


def touch(desk: Desk, name: str, clouds: Sequence[Cloud] = ()) -> Shown:
    """A point of the map that was clicked: its clip to hear, and its neighbours."""
    kind, _, rest = str(name).partition(":")
    if kind == "clip":
        record = desk.workshop.library.get(rest)
        near = lab.neighbours(desk.workshop, desk.workshop.embedding(rest), without=str(name))
        return {**show(desk, [record]), "lab.near": neighbours(near)}
    if kind == "corpus":
        found = lab.place(desk.workshop, str(name), 0)
        near = lab.neighbours(desk.workshop, found.vector, without=str(name))
        html = piece(int(rest), found.prompt, desk.workshop.plays_corpus)
    else:
        point = lab.drawn_point(clouds, str(name))
        near = lab.neighbours(desk.workshop, point.vector)
        html = silent(point)
    return {"lab.cards": html, "lab.shown": [], "lab.near": neighbours(near)}


def piece(number: int, title: str, heard: bool) -> str:
    """A piece of the corpus, to hear and to go on from."""
    name = escape(lab.piece_name(number, title), quote=True)
    go_on = f'<button type="button" class="act" data-do="lab" data-id="{name}">To Lab</button>'
    if not heard:
        none = '<p class="hint">Its shards hold no audio, and no latents of this model’s codec.</p>'  # noqa: RUF001
        return _point(title, "from the corpus", none + f'<div class="acts">{go_on}</div>')
    play = f'<button type="button" class="play" data-play aria-label="Play {escape(title, quote=True)}"></button>'
    sound = (
        '<div class="through" data-seek aria-hidden="true"><div class="played"></div></div>'
        f'<div class="acts">{go_on}</div><audio preload="none" src="muse/corpus/{number}.flac"></audio>'
    )
    return _point(title, "from the corpus", sound, play)


def silent(point: Drawn) -> str:
    """A point of a cloud, which has no sound until someone wants it."""
    name = escape(point.name, quote=True)
    make = f'<button type="button" class="act act-keep" data-do="hear" data-id="{name}">Make it sound</button>'
    return _point(point.title, "an embedding without sound, so far", f'<div class="acts">{make}</div>')


def _point(title: str, what: str, rest: str, play: str = "") -> str:
    name = f'<div class="name"><h3>{escape(title)}</h3><p>{what}</p></div>'
    return f'<div class="clips"><article class="clip piece"><header>{play}{name}</header>{rest}</article></div>'


def hint(words: str) -> str:
    """What stands below the map."""
    return f'<p class="hint" role="status">{escape(words)}</p>'


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
    """Put a clip, or a piece of the corpus, into the Lab's first free place."""
    label = lab.place(desk.workshop, id, 0).label if lab.PIECE.match(id) else desk.workshop.library.get(id).title
    place = "lab.first" if not first or second else "lab.second"
    said = cards.notice(f"“{label}” is in the Lab.", "good")
    return {"lab.choices": desk.choices(), place: id, "notice": said}
