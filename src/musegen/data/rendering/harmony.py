"""Keys and chords: degrees in roman numerals, as names for MMA and as tones for a melody."""

from __future__ import annotations

import re
from dataclasses import dataclass

TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
NUMERAL = re.compile(r"(?P<shift>[b#]?)(?P<degree>[ivIV]+)(?P<kind>[a-zA-Z0-9+]*)")

# What follows a numeral: MMA's suffix and the tones above the root, after an upper and after a lower case numeral.
_KINDS = {
    "": (("", (0, 4, 7)), ("m", (0, 3, 7))),
    "6": (("6", (0, 4, 7, 9)), ("m6", (0, 3, 7, 9))),
    "7": (("7", (0, 4, 7, 10)), ("m7", (0, 3, 7, 10))),
    "9": (("9", (0, 4, 7, 10, 2)), ("m9", (0, 3, 7, 10, 2))),
    "M7": (("M7", (0, 4, 7, 11)), ("m(maj7)", (0, 3, 7, 11))),
    "sus": (("sus4", (0, 5, 7)), ("sus4", (0, 5, 7))),
    "7sus": (("7sus", (0, 5, 7, 10)), ("7sus", (0, 5, 7, 10))),
    "h7": (("m7b5", (0, 3, 6, 10)), ("m7b5", (0, 3, 6, 10))),
    "o7": (("dim7", (0, 3, 6, 9)), ("dim7", (0, 3, 6, 9))),
    "+": (("aug", (0, 4, 8)), ("aug", (0, 4, 8))),
}

# Seventh chords in place of triads, as jazz and its relatives play them.
_COLOURS = {
    "major": {"I": "IM7", "ii": "ii7", "iii": "iii7", "IV": "IVM7", "V": "V7", "vi": "vi7"},
    "minor": {"i": "i7", "iv": "iv7", "v": "v7", "V": "V7", "bVI": "bVIM7", "bIII": "bIIIM7", "bVII": "bVII7"},
}


@dataclass(frozen=True)
class Chord:
    """A chord in a key.

    Args:
        name: as MMA spells it.
        root: pitch class, 0 for C.
        tones: pitch classes, the root first.
    """

    name: str
    root: int
    tones: tuple[int, ...]


def chord(tonic: int, degree: str) -> Chord:
    """A degree of the scale as a chord: ``bVII`` in C is ``Bb``, ``ii7`` is ``Dm7``.

    Raises:
        ValueError: for what is no degree.
    """
    match = NUMERAL.fullmatch(degree)
    if match is None or match["degree"].lower() not in DEGREES or match["kind"] not in _KINDS:
        raise ValueError(f"expected a degree such as ii7, got {degree!r}")
    shift = {"b": -1, "#": 1, "": 0}[match["shift"]]
    root = (tonic + DEGREES[match["degree"].lower()] + shift) % 12
    suffix, tones = _KINDS[match["kind"]][match["degree"].islower()]
    return Chord(ROOTS[root] + suffix, root, tuple((root + tone) % 12 for tone in tones))


def coloured(degree: str, mode: str) -> str:
    """A triad of the scale with its seventh; other degrees as they are."""
    return _COLOURS[mode].get(degree, degree)


def scale(tonic: int, mode: str, over: Chord) -> tuple[int, ...]:
    """The pitch classes a melody may step through over a chord: the key's, bent where the chord asks for it."""
    inside = {(tonic + step) % 12 for step in SCALES[mode]}
    strange = [tone for tone in over.tones if tone not in inside]
    # A major third outside the scale is one of its tones raised; other strange tones are lowered ones.
    bent = {(tone - 1 if (tone - over.root) % 12 == 4 else tone + 1) % 12 for tone in strange}
    return tuple(sorted((inside - bent) | set(over.tones)))


def key_name(tonic: int, mode: str) -> str:
    """Such as "C# minor"."""
    return f"{TONICS[mode][tonic]} {mode}"
