"""Finding clips: by words, by what a user marked, and by likeness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from musegen.app.store.record import words_of

Shelf = Literal["kept", "takes", "bin", "all"]
SHELVES: dict[str, str] = {
    "kept": "kept IS NOT NULL AND deleted IS NULL",
    "takes": "kept IS NULL AND deleted IS NULL",
    "bin": "deleted IS NOT NULL",
    "all": "deleted IS NULL",
}
ORDERS: dict[str, str] = {
    "newest": "created DESC, id",
    "oldest": "created, id",
    "best rated": "rating DESC, created DESC, id",
    "name": "title COLLATE NOCASE, created DESC, id",
}


@dataclass(frozen=True)
class Query:
    """What to look for; all of it has to hold.

    Args:
        words: every one of them occurs in the name, the prompt, the tags or the key, as a part of a word or whole.
        tag: one that it has.
        favourite: favourites alone.
        rating: so many stars or more.
        shelf: ``kept`` for the library, ``takes`` for what was made and not kept, ``bin`` for what was deleted, ``all``
            for all but that.
        order: see `ORDERS`.
        limit: of results.
    """

    words: str = ""
    tag: str = ""
    favourite: bool = False
    rating: int = 0
    shelf: str = "kept"
    order: str = "newest"
    limit: int = 200

    def statement(self) -> tuple[str, list[Any]]:
        """SQL and what goes into it.

        Raises:
            ValueError: for a shelf or an order that there is not.
        """
        if self.shelf not in SHELVES or self.order not in ORDERS:
            raise ValueError(f"expected one of {', '.join([*SHELVES, *ORDERS])}, got {self.shelf!r}, {self.order!r}")
        where, given = [SHELVES[self.shelf]], []
        for word in words_of(self.words[:1000]).split()[:20]:
            where.append("instr(words, ?)")
            given.append(word)
        if self.tag:
            where.append("EXISTS (SELECT 1 FROM tags WHERE clip = clips.id AND tag = ?)")
            given.append(self.tag.casefold())
        if self.favourite:
            where.append("favourite")
        if self.rating:
            where.append("rating >= ?")
            given.append(self.rating)
        return f"WHERE {' AND '.join(where)} ORDER BY {ORDERS[self.order]} LIMIT ?", [*given, self.limit]


def nearest(target: np.ndarray, vectors: Mapping[str, np.ndarray], count: int = 12) -> list[tuple[str, float]]:
    """Names of the vectors nearest to one of unit length, with their cosines, nearest first."""
    if not vectors:
        return []
    names = list(vectors)
    cosines = np.stack([vectors[name] for name in names]) @ target
    best = np.argsort(-cosines, kind="stable")[:count]
    return [(names[place], float(cosines[place])) for place in best]
