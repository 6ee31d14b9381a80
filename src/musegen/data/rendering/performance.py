"""A song as audio: MMA's parts, a melody, the players, their sound and the mix."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musegen.data.rendering.ensemble import Ensemble, assemble
from musegen.data.rendering.instruments import LEADS
from musegen.data.rendering.melody import is_swung, write_melody
from musegen.data.rendering.mixing import LEVELS, loudness, normalise, place, room
from musegen.data.rendering.mma import play
from musegen.data.rendering.score import Part, read_midi
from musegen.data.rendering.songs import Song
from musegen.data.rendering.soundfont import sound

HEARD = 0.35
"""Share of a piece's seconds in which an instrument plays that captions may name."""

MOST = 5
"""How many instruments captions name."""


@dataclass(frozen=True)
class Arrangement:
    """A song given to players.

    Args:
        kind: of the ensemble, one of `ensemble.KINDS`.
        parts: what they play.
        instruments: those that play in much of it, at most five, the melody's first and drums last.
        lead: the instrument of the melody; None without one.
    """

    kind: str
    parts: tuple[Part, ...]
    instruments: tuple[str, ...]
    lead: str | None


def arrange(song: Song, mma: str, seconds: float, chance: random.Random) -> Arrangement | None:
    """Choose players for a song, and write the melody.

    Args:
        song: to be played.
        mma: folder of MMA.
        seconds: where it is cut.
        chance: of the players and the melody.

    Returns:
        None where MMA cannot play the song.
    """
    midi = play(mma, song)
    parts = read_midi(midi, 60 / song.clock) if midi is not None else []
    if not parts:
        return None
    length = min(seconds, song.seconds)
    swung = not song.genre.thirds and is_swung([note for part in parts for note in part.notes], 60 / song.tempo)

    def lead(program: int) -> Part:
        return Part("lead", program, write_melody(chance, song, LEADS[program], swung))

    ensemble = assemble(chance, parts, length, lead)
    return Arrangement(ensemble.kind, ensemble.parts, *_heard(ensemble, length))


def mix(
    parts: Sequence[Part], soundfont: str, sample_rate: int, seconds: float, chance: random.Random
) -> np.ndarray | None:
    """Play parts and put them together: each at its level and place, together in a room.

    Args:
        parts: at least one.
        soundfont: an .sf2 or .sf3 file.
        sample_rate: Hz.
        seconds: where it is cut.
        chance: of levels, places and the room.

    Returns:
        Audio ``[2, samples]``, float32, until it has died away; None where hardly anything sounds.
    """
    mixed, side = None, chance.choice((-1.0, 1.0))
    for part in parts:
        stem = sound(part, soundfont, sample_rate, seconds)
        level = loudness(stem, sample_rate)
        wanted, pan = 10 ** ((LEVELS[part.role] + chance.uniform(-2.5, 2.5)) / 20), chance.uniform(-0.12, 0.12)
        wide = chance.random() < 0.5
        if part.role in ("chords", "pad") and len(parts) > 1:
            pan, side = side * chance.uniform(0.15, 0.55), -side
        width = chance.randint(400, 800) if wide and part.role not in ("bass", "drums") else 0
        if level > 1e-5:
            placed = place(stem, wanted / level, pan, width)
            mixed = placed if mixed is None else mixed + placed
    reverb, answer = chance.uniform(0.4, 1.8), chance.uniform(0.1, 0.45)
    dry = chance.random() < 0.25
    if mixed is None or loudness(mixed, sample_rate) < 1e-4:
        return None
    if not dry:
        mixed += np.float32(answer) * room(mixed, reverb)
    mixed = normalise(mixed, sample_rate)
    loud = np.flatnonzero(np.abs(mixed).max(0) > 1e-3)
    return mixed[:, : int(loud[-1]) + 1]


def _heard(ensemble: Ensemble, seconds: float) -> tuple[tuple[str, ...], str | None]:
    """The instruments to name, and the melody's."""
    order = ["lead", "chords", "pad", "bass", "drums"]
    steady = [part for part in ensemble.parts if part.presence(seconds) >= HEARD] or ensemble.parts[:1]
    steady = sorted(steady, key=lambda part: (order.index(part.role), -len(part.notes), part.program))
    names = list(dict.fromkeys(part.instrument for part in steady))
    while len(names) > MOST:
        names.pop(-3)  # a pad or chords: the melody, bass and drums stay
    lead = next((part.instrument for part in ensemble.parts if part.role == "lead"), None)
    return tuple(names), lead
