"""Composing: a style, a key, a tempo and chords."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

PROGRESSIONS = {
    "major": (
        "I vi IV V7", "I IV V I", "I V vi IV", "ii7 V7 I I", "I IV ii V7", "vi IV I V", "I iii IV V", "I I IV V7",
        "IV V iii vi", "I vi ii V7", "I bVII IV I", "I V IV IV", "I IV I V7", "ii IV I V", "I iii vi IV", "IV I V vi",
    ),
    "minor": (
        "i bVI bIII bVII", "i iv V7 i", "i bVII bVI V7", "i iv bVII bIII", "i i iv V7", "bVI bVII i i", "i v bVI bVII",
        "iv i V7 i", "i bVI iv V7", "i bIII bVII iv", "i bVII i bVII", "iv bVII bIII bVI", "i v iv V7", "i iv i V7",
    ),
}  # fmt: skip
TONICS = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}
ROOTS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}


@dataclass(frozen=True)
class Style:
    """A file of MMA's library.

    Args:
        name: of the file.
        metre: beats of a bar.
        grooves: its variants, without introductions, endings and fills.
        endings: its ways to end.
    """

    name: str
    metre: int
    grooves: tuple[str, ...]
    endings: tuple[str, ...]


@dataclass(frozen=True)
class Song:
    """What is played.

    Args:
        style: name of the style.
        groove: its variant.
        metre: beats of a bar.
        tonic: 0 for C … 11 for B.
        mode: ``major`` or ``minor``.
        tempo: beats a minute, as one counts them: two in a bar of six eight, each dotted.
        chords: one a bar.
        ending: groove of the last two bars; None to go on as before.
        performance: seed of all that a groove leaves to chance: how hard, how exactly and what exactly it plays.
    """

    style: str
    groove: str
    metre: int
    tonic: int
    mode: str
    tempo: int
    chords: tuple[str, ...]
    ending: str | None
    performance: int = 0

    @property
    def key_name(self) -> str:
        """Such as "C# minor"."""
        return f"{TONICS[self.mode][self.tonic]} {self.mode}"

    @property
    def clock(self) -> int:
        """MMA's beats a minute: in six eight it counts every eighth."""
        return self.tempo * (3 if self.metre == 6 else 1)


def compose(chance: random.Random, styles: Sequence[Style], seconds: float) -> Song:
    """Choose a song that fills a number of seconds."""
    style = chance.choice(list(styles))
    groove = chance.choice(style.grooves)
    mode = chance.choice(("major", "minor"))
    tonic = chance.randrange(12)
    tempo = chance.randint(60, 180 if style.metre != 6 else 120)
    beats = style.metre if style.metre != 6 else 2
    bars = max(4, int(seconds * tempo / 60 / beats) + 1)
    verse, chorus = (chance.choice(PROGRESSIONS[mode]).split() for _ in range(2))
    form = (verse, verse, chorus, chorus) if chance.random() < 0.5 else (verse, chorus)
    cycle = [degree for part in form for degree in part]
    chords = [chord(tonic, cycle[bar % len(cycle)]) for bar in range(bars)]
    ends = bool(style.endings) and bars >= 8 and chance.random() < 0.3
    ending = chance.choice(style.endings) if ends else None
    if ending is not None:
        home = "I" if mode == "major" else "i"
        chords[-3:] = [chord(tonic, degree) for degree in ("V7", home, home)]
    performance = chance.randrange(1 << 31)
    return Song(style.name, groove, style.metre, tonic, mode, tempo, tuple(chords), ending, performance)


def chord(tonic: int, degree: str) -> str:
    """A degree of the scale as a chord's name: ``bVII`` in C is ``Bb``, ``ii7`` is ``Dm7``."""
    flat, seventh = degree.startswith("b"), degree.endswith("7")
    numeral = degree.removeprefix("b").removesuffix("7")
    root = ROOTS[(tonic + DEGREES[numeral.lower()] - flat) % 12]
    return f"{root}{'m' if numeral.islower() else ''}{'7' if seventh else ''}"
