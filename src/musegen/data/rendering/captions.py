"""Captions of rendered songs: several true phrasings of what is known."""

from __future__ import annotations

import random
from collections.abc import Sequence

from musegen.data.rendering.performance import Arrangement
from musegen.data.rendering.songs import Song

PACES = {
    70: ("very slow", "very slow", "extremely slow"), 92: ("slow", "slow", "unhurried"),
    116: ("mid-tempo", "moderate", "medium-paced"), 144: ("fast", "quick", "up-tempo"),
    1000: ("very fast", "very fast", "rapid"),
}  # fmt: skip
"""Words for tempi below so many felt beats a minute, the plain one first."""

MOODS = {
    ("major", "slow"): ("calm", "peaceful", "gentle"), ("major", "fast"): ("cheerful", "happy", "lively"),
    ("minor", "slow"): ("sad", "melancholic", "wistful"), ("minor", "fast"): ("driving", "restless", "dark"),
}  # fmt: skip
"""Moods that mode and tempo suggest together; none in between."""

METRES = {
    "3/4": ("in three four", "in 3/4", "in triple metre"), "6/8": ("in six eight", "in 6/8"),
    "12/8": ("in twelve eight", "in 12/8"), "5/4": ("in five four", "in 5/4"), "4/4": ("in four four", "in 4/4"),
}  # fmt: skip
NOUNS = ("piece", "tune", "track", "number")
SPOKEN = {"b": " flat", "#": " sharp"}
VARIANTS = 8
"""Captions a song has at most: the full one, then others drawn from many."""


def write_captions(chance: random.Random, song: Song, played: Arrangement) -> list[str]:
    """Captions from a full sentence, which comes first, to a few words; each says only what is true.

    The first one says genre, tempo, key and instruments of the whole piece. Drums alone have no key.
    """
    phrases = _Phrases(chance, song, played)
    first = _tidy(phrases.full())
    others = [_tidy(phrase) for phrase in phrases.others()]
    chance.shuffle(others)
    return list(dict.fromkeys([first, *others]))[:VARIANTS]


def pace(tempo: float) -> str:
    """The plain word for a tempo in felt beats a minute."""
    return next(words[0] for limit, words in PACES.items() if tempo < limit)


def mood(mode: str, tempo: float) -> str | None:
    """The plain word for the mood that mode and tempo suggest; None where they suggest none."""
    words = _moods(mode, tempo)
    return words[0] if words else None


def listed(names: Sequence[str]) -> str:
    """Names as English lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def article(words: str) -> str:
    """Words with "a" or "an" before them."""
    return f"an {words}" if words[0] in "aeiou" or words.startswith(("R&B", "8")) else f"a {words}"


class _Phrases:
    """What can be said of a song, in words drawn anew each time.

    Args:
        chance: of the choice of words.
        song: what is true of it.
        played: by whom.
    """

    def __init__(self, chance: random.Random, song: Song, played: Arrangement) -> None:
        self.chance, self.song, self.played = chance, song, played
        genre = song.genre
        few = played.kind not in ("band", "without drums")
        self.words = genre.small if few and genre.small is not None else genre.words
        self.countable = genre.countable and self.words == genre.words
        self.pitched = played.kind != "drums alone"

    def full(self) -> str:
        """All that there is to say."""
        return f"{article(f'{self.pace()} {self.thing()}')}{self.at()}{self.key()}{self.players()}"

    def others(self) -> list[str]:
        """Shorter ways, and ways of another order."""
        names = list(self.played.instruments)
        self.chance.shuffle(names)
        adjective = self.mood() or self.pace()
        said = [
            f"{self.words}, {self.pace()}, {self.song.tempo} bpm{self.key(', ')}, {', '.join(self.played.instruments)}",
            f"{article(f'{adjective} {self.thing()}')}{self.players()}",
            f"{article(f'{self.pace()} {self.thing()}')}{self.metre()}{self.key()}",
            f"{listed(names)} playing {article(f'{self.pace()} {self.thing()}')}",
            f"{self.words} at {self.song.tempo} bpm{self.players()}",
            f"{listed(names)}{self.key(', ')}, {self.song.tempo} bpm",
            f"{self.words}{self.metre()}{self.key()}{self.at()}",
            f"{article(self.thing())}{self.at()}{self.metre()}",
            f"{self.pace()} {self.words}{self.players()}",
        ]
        if self.mood():
            said += [
                f"{article(f'{self.mood()} {self.thing()}')}{self.key()}{self.at()}",
                f"{article(f'{self.mood()}, {self.pace()} {self.thing()}')}{self.players()}",
            ]
        if self.pitched:
            said.append(f"{article(f'{self.pace()} {self.thing()}')} in a {self.song.mode} key{self.players()}")
            said.append(f"{self.thing()}{self.key()}{self.players()}")
        if self.played.kind in ("solo", "melody alone"):
            said += [f"solo {names[0]}{self.key()}, {self.pace()}", f"solo {names[0]}, {self.words}{self.at()}"] * 2
        elif self.played.kind == "without drums":
            said += [
                f"{self.thing()}{self.players()}, no drums",
                f"{self.pace()} {self.words} without drums{self.key()}",
            ]
        if self.played.lead and len(names) > 1:
            said.append(f"{self.played.lead} melody over {article(f'{self.pace()} {self.thing()}')}{self.key()}")
        if self.played.kind in ("bass and drums", "drums alone"):
            said += [f"{listed(names)} only{self.at()}", f"just {listed(names)}, {self.words}, {self.pace()}"]
        return said

    def thing(self) -> str:
        """The genre as a thing: "bossa nova tune", "waltz"."""
        return self.words if self.countable else f"{self.words} {self.chance.choice(NOUNS)}"

    def pace(self) -> str:
        """A word for the tempo."""
        return self.chance.choice(next(words for limit, words in PACES.items() if self.song.tempo < limit))

    def mood(self) -> str | None:
        """A word for the mood, if one follows from what is known."""
        words = _moods(self.song.mode, self.song.tempo) if self.pitched else None
        return self.chance.choice(words) if words else None

    def at(self) -> str:
        """The tempo as a number."""
        return f" at {self.song.tempo} {self.chance.choice(('bpm', 'bpm', 'beats per minute'))}"

    def key(self, before: str = " in ") -> str:
        """The key, as written or as spoken; nothing where there is none."""
        if not self.pitched:
            return ""
        tonic, mode = self.song.key.split()
        spoken = tonic[0] + SPOKEN.get(tonic[1:], "")
        return f"{before}{self.chance.choice((tonic, spoken))} {mode}"

    def metre(self) -> str:
        """The metre; seldom the usual one, and not where the genre says it."""
        metre = self.song.genre.metre
        usual = metre == "4/4" and self.chance.random() < 0.7
        return "" if usual or "waltz" in self.words else f" {self.chance.choice(METRES[metre])}"

    def players(self) -> str:
        """Who plays."""
        names, lead = list(self.played.instruments), self.played.lead
        if self.played.kind in ("solo", "melody alone", "drums alone"):
            return f" {self.chance.choice(('for', 'on', 'played on'))} {names[0]} alone"
        if lead is None or len(names) == 1 or lead not in names:
            return f" {self.chance.choice(('with', 'for', 'played by'))} {listed(names)}"
        rest = listed([name for name in names if name != lead])
        led = (f"with {article(lead)} melody over {rest}", f"led by {article(lead)}, with {rest}")
        return f" {self.chance.choice((*led, f'with {lead}, {rest}' if len(names) > 2 else f'with {lead} and {rest}'))}"


def _moods(mode: str, tempo: float) -> tuple[str, ...] | None:
    speed = "slow" if tempo < 88 else "fast" if tempo >= 124 else None
    return MOODS.get((mode, speed)) if speed else None


def _tidy(caption: str) -> str:
    return " ".join(caption.split())
