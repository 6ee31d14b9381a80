"""Composing: a style, a key, a tempo, and sections of chords from an introduction to an ending."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from musegen.data.rendering.genres import Genre, genre
from musegen.data.rendering.harmony import Chord, chord, coloured, key_name
from musegen.data.rendering.library import Style
from musegen.data.rendering.progressions import suited
from musegen.data.rendering.splits import has_progression, is_held_out

FORMS = ("A", "AB", "AAB", "AABA", "ABAB", "AABB", "ABAC")
JAZZY = ("jazz", "latin", "swing", "soul", "funk", "stage")
RING = 2.0
"""Seconds that a last chord is left to sound."""


@dataclass(frozen=True)
class Section:
    """A stretch of a song.

    Args:
        name: ``intro``, ``ending``, or a letter; the same letter has the same chords.
        groove: that plays it.
        bars: one or two degrees each, such as ``("I",)`` or ``("ii7", "V7")``.
        fill: groove of its last bar; None to go on as before.
    """

    name: str
    groove: str
    bars: tuple[tuple[str, ...], ...]
    fill: str | None = None


@dataclass(frozen=True)
class Song:
    """What is played.

    Args:
        style: a file of MMA's library.
        beats: of a bar, as MMA counts them.
        tonic: 0 for C … 11 for B.
        mode: ``major`` or ``minor``.
        tempo: felt beats a minute: dotted ones in six eight.
        sections: in order.
        progressions: of each letter, as `progressions` writes it.
        performance: seed of all that a groove leaves to chance: how hard, how exactly and what exactly it plays.
    """

    style: str
    beats: int
    tonic: int
    mode: str
    tempo: int
    sections: tuple[Section, ...]
    progressions: tuple[tuple[str, str], ...] = ()
    performance: int = 0

    @property
    def genre(self) -> Genre:
        """What is known of its style."""
        return genre(self.style, self.beats)

    @property
    def key(self) -> str:
        """Such as "C# minor"."""
        return key_name(self.tonic, self.mode)

    @property
    def clock(self) -> float:
        """MMA's beats a minute."""
        return self.tempo * self.genre.pulse

    @property
    def bars(self) -> int:
        """How many there are."""
        return sum(len(section.bars) for section in self.sections)

    @property
    def seconds(self) -> float:
        """From the first beat to the last bar line."""
        return self.bars * self.beats * 60 / self.clock

    def chords(self) -> Iterator[tuple[int, Chord]]:
        """Every chord with MMA's beat on which it begins."""
        bars = (bar for section in self.sections for bar in section.bars)
        for number, bar in enumerate(bars):
            for place, degree in enumerate(bar):
                yield number * self.beats + place * ((self.beats + 1) // 2), chord(self.tonic, degree)

    def starts(self) -> list[tuple[str, float]]:
        """Every section's name with the second at which it begins."""
        bar, found = 0, []
        for section in self.sections:
            found.append((section.name, round(bar * self.beats * 60 / self.clock, 3)))
            bar += len(section.bars)
        return found


def compose(chance: random.Random, styles: Sequence[Style], seconds: float, split: str) -> Song:
    """Choose a song that fills a number of seconds, or ends a little before.

    Args:
        chance: where all choices come from.
        styles: to choose from; `splits.has_style` says which belong to a split.
        seconds: to fill.
        split: of the song.
    """
    while True:
        style = chance.choice(list(styles))
        known = genre(style.name, style.beats)
        mode, tonic = chance.choice(("major", "minor")), chance.randrange(12)
        tempo = chance.randint(known.slowest, known.fastest)
        if is_held_out(known.words, tonic, mode, tempo) == (split != "train"):
            break
    bar = style.beats * 60 / (tempo * known.pulse)
    ending = chance.choice(style.endings) if style.endings and chance.random() < 0.4 else None
    whole = ending is not None and int((seconds - RING) / bar) - ending[1] >= 4
    ending = ending if whole else None
    bars = max(4, int((seconds - RING) / bar) if whole else math.ceil(seconds / bar))
    sections: list[Section] = []
    table = [one for one in suited(mode, known.metre, known.family) if has_progression(split, mode, one)]
    jazzy = known.family in JAZZY and chance.random() < 0.6
    progressions = {letter: chance.choice(table) for letter in "ABC"}
    letters = {letter: _bars(progression, mode, jazzy) for letter, progression in progressions.items()}
    grooves = {letter: chance.choice(style.grooves) for letter in "ABC"}
    if chance.random() < 0.5:
        grooves = dict.fromkeys("ABC", grooves["A"])
    intros = [pair for pair in style.intros if pair[1] <= bars // 4]
    if intros and chance.random() < 0.4:
        groove, size = chance.choice(intros)
        sections.append(Section("intro", groove, _introduction(letters["A"], size, mode)))
    left = bars - sum(len(section.bars) for section in sections) - (ending[1] if ending else 0)
    form = chance.choice(FORMS)
    number = 0
    while left > 0:
        letter = form[number % len(form)]
        body = letters[letter][:left]
        fill = chance.choice(style.fills) if style.fills and len(body) >= 4 and chance.random() < 0.5 else None
        sections.append(Section(letter, grooves[letter], body, fill))
        left -= len(body)
        number += 1
    if ending:
        sections.append(Section("ending", ending[0], _cadence(ending[1], mode)))
    used = tuple((letter, progressions[letter]) for letter in "ABC" if letter in {one.name for one in sections})
    return Song(style.name, style.beats, tonic, mode, tempo, tuple(sections), used, chance.randrange(1 << 31))


def _bars(progression: str, mode: str, jazzy: bool) -> tuple[tuple[str, ...], ...]:
    bars = tuple(tuple(bar.split(",")) for bar in progression.split())
    return tuple(tuple(coloured(one, mode) for one in bar) for bar in bars) if jazzy else bars


def _introduction(verse: Sequence[tuple[str, ...]], size: int, mode: str) -> tuple[tuple[str, ...], ...]:
    """The beginning of the verse, then its dominant."""
    home = ("I" if mode == "major" else "i",)
    bars = [verse[number % len(verse)] for number in range(size - 1)]
    return (home, *bars[1:], ("V7",))[:size] if size > 1 else (home,)


def _cadence(size: int, mode: str) -> tuple[tuple[str, ...], ...]:
    home, before = (("I",), ("IV",)) if mode == "major" else (("i",), ("iv",))
    if size == 1:
        return (home,)
    if size == 2:
        return (("V7",), home)
    return (*(home for _ in range(size - 4)), before, ("V7",), home, home)[-size:]
