"""What the Studio does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from musegen.app.acts.desk import Desk
from musegen.app.acts.running import Shown
from musegen.app.store.record import Record
from musegen.app.store.search import Query
from musegen.app.view import cards
from musegen.app.work import making
from musegen.app.work.job import Job
from musegen.app.work.uploads import read_upload
from musegen.app.work.wishes import Style, check_count, choose_seeds

SPREAD = 0.15
"""How far variations of a clip lie from it, as a part of a right angle."""


@dataclass(frozen=True)
class Form:
    """What the Studio's form says; its fields are the page's inputs, in their order."""

    prompt: str
    negative: str
    count: float
    seconds: float | None
    text_guidance: float | None
    guidance: float | None
    steps: float | None
    text_steps: float | None
    sampler: str | None
    seed_how: str
    seed: str
    sound: str | None
    mix: float
    start: str
    strength: float
    last_seeds: Sequence[int]

    def style(self) -> Style:
        """How clips are sampled."""
        return Style(
            seconds=self.seconds or None,
            text_guidance=self.text_guidance,
            guidance=self.guidance,
            steps=None if self.steps is None else round(self.steps),
            text_steps=None if self.text_steps is None else round(self.text_steps),
            sampler=self.sampler or None,
            negative=self.negative or "",
            start=self.start or "",
            strength=self.strength,
        )


def generate(desk: Desk, user: str, form: Form) -> Iterator[Shown]:
    """Make the clips that the form asks for."""
    seeds = choose_seeds(form.seed_how, form.seed, form.last_seeds, int(check_count(form.count)))
    upload = read_upload(form.sound) if form.sound else None

    def work(job: Job) -> Iterator[Record]:
        if upload is None:
            return making.of_text(desk.workshop, form.prompt or "", seeds, form.style(), job)
        return making.of_sound(desk.workshop, upload, form.prompt or "", form.mix, seeds, form.style(), job)

    if upload is None:
        making.check_prompt(form.prompt or "")
    yield {"studio.seeds": seeds, "studio.seed": str(seeds[0])}
    yield from desk.carry_out(user, work, lambda made, done: show(desk, made))


def like(desk: Desk, user: str, parent: str, form: Form, spread: float = SPREAD) -> Iterator[Shown]:
    """Make variations of a clip."""
    record = desk.workshop.library.get(parent)
    seeds = choose_seeds("random", None, None, check_count(form.count))
    yield {"tabs": "studio", "studio.seeds": seeds}

    def work(job: Job) -> Iterator[Record]:
        return making.like(desk.workshop, parent, seeds, spread, form.style(), job)

    said = f"These lie {90 * spread:.0f}° around “{record.title}”."
    yield from desk.carry_out(user, work, lambda made, done: show(desk, made), said)


def show(desk: Desk, records: Sequence[Record]) -> Shown:
    """Cards of these clips, as the library knows them now."""
    now = desk.workshop.library.of_ids(record.id for record in records)
    html = cards.studio_cards(now, desk.peaks, desk.workshop.closeness_is or "closeness to what was asked for")
    return {"studio.cards": html, "studio.shown": [record.id for record in now]}


def again(desk: Desk, shown: Sequence[str]) -> Shown:
    """The same cards once more, after something changed."""
    return show(desk, desk.workshop.library.of_ids(shown))


def welcome(desk: Desk) -> Shown:
    """The last takes, so that a page that is opened again shows what was made before."""
    return show(desk, desk.workshop.library.find(Query(shelf="takes", limit=8)))


def keep(desk: Desk, id: str) -> Shown:
    """Put a take into the library."""
    record = desk.workshop.library.keep(id)
    return {"notice": cards.notice(f"“{record.title}” is in your library.", "good")}


def use_as_start(desk: Desk, id: str) -> Shown:
    """Begin the next clips with this one; an empty id for noise."""
    if not id:
        return {"studio.start": "", "studio.start_said": "", "studio.start_row": False}
    record = desk.workshop.library.get(id)
    said = cards.notice(f"The next clips begin with “{record.title}”.")
    return {"studio.start": id, "studio.start_said": said, "studio.start_row": True, "tabs": "studio"}
