"""What the library knows of a clip."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

ID = re.compile(r"[0-9a-f]{32}")
MAX_TITLE, MAX_TAG, MAX_TAGS = 120, 40, 20


@dataclass(frozen=True)
class Lineage:
    """Where a clip comes from, besides its prompt and seed.

    Args:
        relation: what was done, in a few words (``more like this``, ``between``); empty for text alone.
        parents: ids of the clips that it was done with.
        detail: in a sentence.
    """

    relation: str = ""
    parents: tuple[str, ...] = ()
    detail: str = ""

    def text(self) -> str:
        """As the database has it."""
        return json.dumps({"relation": self.relation, "parents": list(self.parents), "detail": self.detail})

    @staticmethod
    def read(text: str) -> Lineage:
        """The inverse of `text`."""
        said = json.loads(text)
        return Lineage(said.get("relation", ""), tuple(said.get("parents", ())), said.get("detail", ""))


@dataclass(frozen=True)
class Record:
    """A clip in the library.

    Args:
        id: 32 hexadecimal digits, also the name of its files.
        kind: ``generated`` or ``imported``.
        title: as the user calls it; by default its prompt or the name of its file.
        prompt: what was asked for; empty where nothing was said.
        negative: what was to be avoided.
        seed: None for imported audio.
        model: what made it.
        seconds: its length.
        audio_sha256: of the float audio.
        file_sha256: of the audio file.
        created: seconds since 1970.
        kept: when the user kept it; None for a take of the Studio that nobody has kept yet.
        deleted: when it was deleted; None where it is not.
        favourite: whether it is one.
        rating: 1 to 5 stars, 0 for none.
        closeness: cosine between what is heard in it and what was asked for; None where that is not known.
        tempo: beats per minute, an estimate; None where none was heard.
        key: such as ``D minor``, an estimate; empty where none was heard.
        lineage: where it comes from.
        tags: in alphabetical order.
    """

    id: str
    kind: str
    title: str
    prompt: str
    negative: str
    seed: int | None
    model: str
    seconds: float
    audio_sha256: str
    file_sha256: str
    created: float
    kept: float | None = None
    deleted: float | None = None
    favourite: bool = False
    rating: int = 0
    closeness: float | None = None
    tempo: float | None = None
    key: str = ""
    lineage: Lineage = field(default_factory=Lineage)
    tags: tuple[str, ...] = ()

    @staticmethod
    def of_row(row: sqlite3.Row) -> Record:
        """From the database."""
        columns: dict[str, Any] = {name: row[name] for name in row.keys() if name != "words"}  # noqa: SIM118
        columns["lineage"] = Lineage.read(columns["lineage"])
        columns["favourite"] = bool(columns["favourite"])
        columns["tags"] = tuple(sorted(columns.pop("all_tags").split("\x1f"))) if row["all_tags"] else ()
        columns.pop("all_tags", None)
        return Record(**columns)


def check_id(id: object) -> str:
    """Return an id.

    Raises:
        ValueError: if it is none; nothing else ever becomes a part of a path.
    """
    if not isinstance(id, str) or not ID.fullmatch(id):
        raise ValueError("clip: expected the id of one, 32 hexadecimal digits")
    return id


def check_title(title: object) -> str:
    """Return a title in one line.

    Raises:
        ValueError: if it is empty or too long.
    """
    text = one_line(title)
    if not 0 < len(text) <= MAX_TITLE:
        raise ValueError(f"name: expected 1 to {MAX_TITLE} characters, got {len(text)}")
    return text


def shortened(prompt: str) -> str:
    """A prompt as a title."""
    text = one_line(prompt)
    if len(text) > MAX_TITLE:
        text = f"{text[: MAX_TITLE - 1]}…"
    return text or "untitled"


def check_tags(tags: Sequence[str] | str) -> tuple[str, ...]:
    """Return tags, sorted, without doubles; one string is split at its commas.

    Raises:
        ValueError: for too many, or one that is too long.
    """
    given = tags.split(",") if isinstance(tags, str) else tags
    found = sorted({text for tag in given if (text := one_line(tag).casefold())})
    if len(found) > MAX_TAGS:
        raise ValueError(f"tags: expected at most {MAX_TAGS}, got {len(found)}")
    for tag in found:
        if len(tag) > MAX_TAG:
            raise ValueError(f"tags: expected at most {MAX_TAG} characters each, got {len(tag)}")
    return tuple(found)


def check_rating(rating: object) -> int:
    """Return a rating, 0 to 5.

    Raises:
        ValueError: if it is none.
    """
    if isinstance(rating, bool) or not isinstance(rating, int) or not 0 <= rating <= 5:
        raise ValueError(f"rating: expected 0 to 5 stars, got {rating!r}")
    return rating


def one_line(text: object) -> str:
    """Text without control characters and line breaks, its spaces single."""
    if not isinstance(text, str):
        raise ValueError(f"expected text, got {type(text).__name__}")
    shown = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cs") else each for each in text)
    return " ".join(shown.split())


def words_of(*texts: str) -> str:
    """Texts as they are searched: in one line, without regard to case."""
    return " ".join(one_line(text) for text in texts if text).casefold()
