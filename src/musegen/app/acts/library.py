"""What the Library does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path

from musegen.app.acts.desk import Desk
from musegen.app.acts.running import Shown
from musegen.app.store.record import Record
from musegen.app.store.search import Query
from musegen.app.view import cards
from musegen.app.work import shelf
from musegen.app.work.job import Job
from musegen.app.work.uploads import read_upload
from musegen.app.work.wishes import check_prompt

SHELVES = {"Kept": "kept", "Takes": "takes", "Bin": "bin"}
EVERY_TAG = "every tag"
SHOWN = 60


@dataclass(frozen=True)
class Search:
    """What the Library's form says; its fields are the page's inputs, in their order."""

    words: str
    tag: str
    favourite: bool
    rating: float
    order: str
    shelf: str

    def query(self) -> Query:
        """As the store takes it."""
        tag = "" if self.tag in (None, "", EVERY_TAG) else self.tag
        rating = round(self.rating or 0)
        kept = SHELVES.get(self.shelf, "kept")
        return Query(self.words or "", tag, bool(self.favourite), rating, kept, self.order or "newest", SHOWN)


def look(desk: Desk, search: Search) -> Shown:
    """Clips that answer a search."""
    return {**_show(desk, desk.workshop.library.find(search.query())), "library.tags": tags(desk)}


def tags(desk: Desk) -> list[str]:
    """All tags, to choose from."""
    return [EVERY_TAG, *desk.workshop.library.tags()]


def sounds_like(desk: Desk, user: str, text: str, search: Search) -> Shown:
    """Clips that sound most like a text."""
    if not (text or "").strip():
        return look(desk, search)
    target = desk.workshop.reference(check_prompt(text), Job(user))
    if target is None:
        raise ValueError("text and sound cannot be compared by this model’s embedder; drop an audio file instead")  # noqa: RUF001
    found = shelf.alike(desk.workshop, target, search.query())
    return _ranked(desk, found, f"What sounds most like “{text.strip()[:80]}” comes first.")


def sounds_like_file(desk: Desk, file: str | None, search: Search) -> Shown:
    """Clips that sound most like a file."""
    if not file:
        return look(desk, search)
    upload = read_upload(file)
    target = desk.workshop.ears.listen(upload.audio, upload.rate)
    found = shelf.alike(desk.workshop, target, search.query())
    return _ranked(desk, found, f"What sounds most like “{upload.name}” comes first.")


def alike(desk: Desk, id: str, search: Search) -> Shown:
    """Clips that sound most like another."""
    record, target = desk.workshop.library.get(id), shelf.heard_in(desk.workshop, id)
    found = shelf.alike(desk.workshop, target, search.query())
    return _ranked(desk, found, f"What sounds most like “{record.title}” comes first.")


def family(desk: Desk, id: str, children: bool) -> Shown:
    """A clip, or those that were made with it."""
    record = desk.workshop.library.get(id)
    found = desk.workshop.library.children(id) if children else [record]
    said = f"Made with “{record.title}”: {len(found)}." if children else f"The parent: “{record.title}”."
    return {**_show(desk, found), "notice": cards.notice(said), "tabs": "library"}


def take_in(desk: Desk, files: Sequence[str] | None, search: Search) -> Shown:
    """Put a user's files into the library; those that cannot be taken are named."""
    good, wrong = [], []
    for file in list(files or [])[:50]:
        try:
            good.append(shelf.take_in(desk.workshop, read_upload(file)).title)
        except ValueError as error:
            wrong.append(str(error))
    said = [f"Taken in: {', '.join(good)}."] if good else []
    kind = "wrong" if wrong else "good"
    text = " ".join([*said, *(f"{each[0].upper()}{each[1:].rstrip('.')}." for each in wrong)])
    return {**look(desk, search), "notice": cards.notice(text, kind), "library.drop": None}


def change(desk: Desk, do: str, id: str, value: str) -> Shown:
    """Mark, rate, rename or tag a clip."""
    library = desk.workshop.library
    record = library.get(id)
    if do == "favourite":
        library.mark(id, not record.favourite)
        return {}
    if do == "rate":
        stars = int(value) if str(value).isdigit() else -1
        library.rate(id, 0 if stars == record.rating else stars)
        return {}
    if do == "rename":
        return {"notice": cards.notice(f"Now called “{library.rename(id, value).title}”.", "good")}
    if do == "tag":
        tags = ", ".join(library.tag(id, value).tags) or "none"
        return {"notice": cards.notice(f"Tags: {tags}.", "good")}
    raise ValueError(f"expected something to do with a clip, got {do[:20]!r}")


def delete(desk: Desk, id: str) -> Shown:
    """Move a clip to the bin, and offer to undo that."""
    record = desk.workshop.library.delete(id)
    undo = cards.button("restore", record, "Undo", "Put it back")
    words = escape(f"“{record.title}” is in the bin.")
    return {"notice": f'<p class="notice said" role="status">{words} {undo}</p>'}


def restore(desk: Desk, id: str) -> Shown:
    """Take a clip out of the bin."""
    record = desk.workshop.library.restore(id)
    return {"notice": cards.notice(f"“{record.title}” is back.", "good")}


def pack_up(desk: Desk, picked: Sequence[str]) -> Shown:
    """A ZIP file of the selected clips, to download."""
    if not picked:
        raise ValueError("select some clips first: the boxes at their upper left corners")
    content = shelf.pack_up(desk.workshop, picked)
    folder = Path(tempfile.mkdtemp(prefix="muse-"))
    path = folder / f"muse-{datetime.now():%Y-%m-%d-%H%M}.zip"
    path.write_bytes(content)
    many = f"{len(picked)} clips" if len(picked) > 1 else "One clip"
    return {"library.zip": str(path), "notice": cards.notice(f"{many} packed up.", "good")}


def make_again(desk: Desk, user: str, id: str) -> Iterator[Shown]:
    """Make a clip again, and say whether its bits are the same."""
    said: list[str] = []

    def work(job: Job) -> Iterator[Record]:
        said.append(shelf.make_again(desk.workshop, id, job))
        return iter(())

    yield from desk.carry_out(user, work, lambda made, done: {})
    kind = "good" if said and said[0].startswith("Made again") else "wrong"
    if said:
        yield {"notice": cards.notice(said[0], kind)}


def _ranked(desk: Desk, found: Sequence[tuple[Record, float]], said: str) -> Shown:
    html = cards.library_cards([record for record, _ in found], desk.peaks, {each.id: near for each, near in found})
    return {"library.cards": html, "notice": cards.notice(said)}


def _show(desk: Desk, records: Sequence[Record]) -> Shown:
    return {"library.cards": cards.library_cards(records, desk.peaks)}
