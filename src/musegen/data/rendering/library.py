"""MMA's standard library as tables: styles, their grooves, and how many bars introductions, fills and endings take."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDERS = ("/usr/share/mma", "/usr/local/share/mma")
NO_MUSIC = re.compile(r"metro|^none$", re.IGNORECASE)
PARTS = {"intro": re.compile("intro", re.IGNORECASE), "ending": re.compile("(?<!sc)end", re.IGNORECASE)}
NO_LOOP = re.compile("fill|break|-44$", re.IGNORECASE)
"""Names of grooves for one bar between others, or in another metre than their file."""


@dataclass(frozen=True)
class Style:
    """A file of MMA's library.

    Args:
        name: of the file.
        beats: of its bar, as MMA counts them.
        grooves: its variants to play on and on.
        intros: its ways to begin, with their bars.
        endings: its ways to end, with their bars.
        fills: its fills of one bar.
    """

    name: str
    beats: int
    grooves: tuple[str, ...]
    intros: tuple[tuple[str, int], ...] = ()
    endings: tuple[tuple[str, int], ...] = ()
    fills: tuple[str, ...] = ()


def find_mma(folder: str | None = None) -> str:
    """The folder of MMA.

    Raises:
        ValueError: if there is none.
    """
    for candidate in (folder,) if folder else (os.environ.get("MUSEGEN_MMA"), *FOLDERS):
        if candidate and (Path(candidate) / "lib" / "stdlib").is_dir():
            return str(candidate)
    where = folder or ", ".join(FOLDERS)
    raise ValueError(f"expected MMA with lib/stdlib in {where}, got none: install Debian's mma, or set MUSEGEN_MMA")


@lru_cache
def read_library(folder: str) -> tuple[Style, ...]:
    """The styles of the standard library that have something to play, by name."""
    files = sorted((Path(folder) / "lib" / "stdlib").glob("*.mma"))
    styles = (_style(file.stem, file.read_text(encoding="latin-1")) for file in files if not NO_MUSIC.search(file.stem))
    return tuple(style for style in styles if style.grooves)


def _style(name: str, text: str) -> Style:
    """Follow a file line by line: a groove has the length that was set last, or that of the groove it builds upon."""
    beats, size, sizes = 4, 1, {}
    for line in text.splitlines():
        words = line.split("//")[0].split()
        command = words[0].lower() if words else ""
        if len(words) < 2:
            continue
        if command == "time" and not sizes and words[1].isdecimal():
            beats = int(words[1])
        elif command == "seqsize" and words[1].isdecimal():
            size = int(words[1])
        elif command == "groove":
            size = sizes.get(words[1].lower(), (words[1], size))[1]
        elif command == "defgroove" and not NO_MUSIC.search(words[1]):
            sizes[words[1].lower()] = (words[1], size)
    parts = {part: tuple(pair for pair in sizes.values() if pattern.search(pair[0])) for part, pattern in PARTS.items()}
    special = {groove for pairs in parts.values() for groove, _ in pairs}
    return Style(
        name,
        beats,
        tuple(groove for groove, _ in sizes.values() if groove not in special and not NO_LOOP.search(groove)),
        parts["intro"],
        parts["ending"],
        tuple(groove for groove, bars in sizes.values() if "fill" in groove.lower() and bars == 1),
    )
