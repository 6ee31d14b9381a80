"""What a clip should be, as far as it is known: from the facts of a corpus, or out of the caption's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

NATURALS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"#": 1, "♯": 1, "sharp": 1, "b": -1, "♭": -1, "flat": -1}
KEY = re.compile(r"\b([A-G])(?:\s?(#|♯|b|♭|-?sharp|-?flat))?[\s-](major|minor)\b(?![\s-]key)")
MODE = re.compile(r"\b(major|minor)\b", re.IGNORECASE)
TEMPO = re.compile(r"\b(\d{2,3}(?:\.\d+)?)[\s-]*(?:bpm\b|beats (?:per|a) minute)", re.IGNORECASE)
MAPS = Path(__file__).with_name("caption_tags.json")


@dataclass(frozen=True)
class Wanted:
    """What is known of how a clip should sound; None or empty where nothing is.

    Args:
        tempo: beats a minute.
        key: 0–11 for C to B major, 12–23 for C to B minor.
        mode: ``major`` or ``minor``.
        instruments: of the names in ``caption_tags.json``.
        genres: likewise.
    """

    tempo: float | None = None
    key: int | None = None
    mode: str | None = None
    instruments: frozenset[str] = frozenset()
    genres: frozenset[str] = frozenset()


def wanted_of(caption: str, facts: Mapping[str, Any] | None = None) -> Wanted:
    """What a caption asks for, or what a corpus knows of a piece; where both speak, the facts count.

    Args:
        caption: may be empty.
        facts: of a sample: ``tempo``, ``key`` (such as "F# minor"), ``mode``, ``instruments``.
    """
    facts = facts or {}
    named = facts.get("instruments")
    words = ", ".join(map(str, named)) if isinstance(named, list) else caption
    tempo = facts.get("tempo")
    known = parse_key(str(facts.get("key", "")))
    key = parse_key(caption) if known is None else known
    mode = facts.get("mode") or (None if key is None else ("major", "minor")[key // 12]) or _mode(caption)
    return Wanted(
        float(tempo) if isinstance(tempo, int | float) and tempo > 0 else parse_tempo(caption),
        key,
        mode if mode in ("major", "minor") else None,
        named_in(words, "instruments"),
        named_in(" ".join(str(text) for text in (caption, facts.get("genre", ""), facts.get("family", ""))), "genres"),
    )


def parse_tempo(text: str) -> float | None:
    """Beats a minute, where a text says "92 bpm" or "92 beats per minute"."""
    found = TEMPO.search(text)
    return float(found[1]) if found else None


def parse_key(text: str) -> int | None:
    """A key that a text names with a capital letter ("in D minor"), as 0–23; None for "a minor key"."""
    found = KEY.search(text)
    if not found:
        return None
    letter, sign, mode = found.groups()
    return (NATURALS[letter] + SIGNS.get((sign or "").lstrip("-"), 0)) % 12 + 12 * (mode == "minor")


def _mode(text: str) -> str | None:
    found = {word.lower() for word in MODE.findall(text)}
    return found.pop() if len(found) == 1 else None


@cache
def tag_map(kind: str) -> Mapping[str, Mapping[str, Any]]:
    """What captions may name (``instruments`` or ``genres``): by name, the words for it and the tags that mean it."""
    return json.loads(MAPS.read_text(encoding="utf-8"))[kind]


def named_in(text: str, kind: str) -> frozenset[str]:
    """The names of a kind whose words a text has, longer words first, so that "bass guitar" names no guitar."""
    found, text = set(), text.lower()
    for word, name in _words(kind):
        pattern = rf"(?<![\w-]){re.escape(word)}(?![\w-])"
        text, times = re.subn(pattern, " ", text)
        if times:
            found.add(name)
    return frozenset(name for name in found if name in tag_map(kind))


@cache
def _words(kind: str) -> list[tuple[str, str]]:
    pairs = [(word, name) for name, entry in tag_map(kind).items() for word in entry["words"]]
    return sorted(pairs, key=lambda pair: -len(pair[0]))
