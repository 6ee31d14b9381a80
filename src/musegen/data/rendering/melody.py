"""Melodies over chords: phrases of motifs that are said, said again, changed, and brought to rest."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Sequence

from musegen.data.rendering.harmony import Chord, scale
from musegen.data.rendering.score import Note
from musegen.data.rendering.songs import Song

# Rhythms of one felt beat, as parts of it: beats in halves, in thirds, and both at their calmest.
EVEN = ((1.0,), (0.5, 0.5), (0.75, 0.25), (0.5, 0.25, 0.25), (0.25, 0.25, 0.5))
SWUNG = ((1.0,), (2 / 3, 1 / 3), (2 / 3, 1 / 3), (1 / 3, 1 / 3, 1 / 3))
THIRDS = ((1.0,), (2 / 3, 1 / 3), (1 / 3, 1 / 3, 1 / 3), (1 / 2, 1 / 6, 1 / 3))
CALM = 2
"""How many of the first rhythms a fast piece uses."""

Rhythm = tuple[tuple[float, float, bool], ...]  # onset and length in felt beats, and whether it sounds


def is_swung(notes: Sequence[Note], beat: float) -> bool:
    """Whether beats are divided long and short rather than evenly, by where notes between the beats lie.

    Args:
        notes: of an accompaniment.
        beat: seconds of a felt beat.
    """
    places = [note.start / beat % 1 for note in notes]
    late = sum(0.6 < place < 0.72 for place in places)
    half = sum(0.45 < place < 0.55 for place in places)
    return late > 1.5 * half and late > 4


def write_melody(chance: random.Random, song: Song, reach: tuple[int, int], swung: bool) -> tuple[Note, ...]:
    """A lead line for a song.

    Phrases of four bars: a motif of two bars, then the same rhythm on other notes or an answer to it, a rest before the
    next. Notes on the beat are tones of the chord, those between lead there by steps of the scale; the line follows an
    arch, and ends on the tonic.

    Args:
        chance: where all choices come from.
        song: its chords, metre and key.
        reach: lowest and highest note of the instrument.
        swung: whether the accompaniment is.
    """
    beats, beat = song.genre.beats, 60 / song.tempo
    chords = [(start / song.genre.pulse, chord) for start, chord in song.chords()]
    starts = [start for start, _ in chords]
    cells = THIRDS if song.genre.thirds else SWUNG if swung else EVEN
    cells = cells if song.tempo < 112 else cells[: CALM + (cells is not EVEN)]
    density = chance.uniform(0.35, 0.9)
    motifs = [_rhythm(chance, cells, 2 * beats, density) for _ in range(3)]
    line = _Line(chance, song, reach)
    notes: list[Note] = []
    for phrase in range(0, song.bars, 4):
        bars = min(4, song.bars - phrase)
        last = phrase + bars == song.bars
        rhythm = _phrase(chance, motifs, bars, beats, last)
        crest = chance.uniform(0.35, 0.75) * bars * beats
        for onset, length, sounds in rhythm:
            if not sounds:
                continue
            at = phrase * beats + onset
            chord = chords[bisect_right(starts, at + 1e-6) - 1][1]
            height = math.exp(-(((onset - crest) / (0.5 * bars * beats)) ** 2))
            final = last and onset + length >= bars * beats - 1.01
            pitch = line.step(chord, height, strong=onset % 1 < 1e-6, final=final)
            accent = 12 if onset % beats < 1e-6 else 4 if onset % 1 < 1e-6 else 0
            velocity = min(118, int(72 + accent + 14 * height + chance.uniform(-5, 5)))
            late = chance.uniform(0, 0.012)
            duration = length * beat * chance.uniform(0.82, 0.98) - late
            notes.append(Note(at * beat + late, max(0.02, duration), pitch, velocity))
    return tuple(notes)


class _Line:
    """Where a melody is, and where it goes next.

    Args:
        chance: where choices come from.
        song: its key.
        reach: lowest and highest note.
    """

    def __init__(self, chance: random.Random, song: Song, reach: tuple[int, int]) -> None:
        self.chance, self.song = chance, song
        low, high = reach
        width = min(high - low, chance.randint(12, 19))
        self.low = chance.randint(low, high - width)
        self.high = self.low + width
        self.pitch = (self.low + self.high) // 2

    def step(self, chord: Chord, height: float, strong: bool, final: bool) -> int:
        """The next note.

        Args:
            chord: beneath it.
            height: of the arch, 0 … 1.
            strong: whether it falls on a beat.
            final: whether the piece ends here.
        """
        if final:
            classes: Sequence[int] = (self.song.tonic,) if self.song.tonic in chord.tones else (chord.root,)
        else:
            classes = chord.tones[:3] if strong else scale(self.song.tonic, self.song.mode, chord)
        aim = self.low + 2 + height * (self.high - self.low - 4)
        towards = self.pitch + max(-4, min(4, round(0.45 * (aim - self.pitch) + self.chance.gauss(0, 2.2))))
        if towards == self.pitch and self.chance.random() < 0.7:
            towards += self.chance.choice((-2, 2))
        reachable = [pitch for pitch in range(self.low, self.high + 1) if pitch % 12 in classes]
        self.pitch = min(reachable, key=lambda pitch: (abs(pitch - towards), pitch))
        return self.pitch


def _rhythm(chance: random.Random, cells: Sequence[tuple[float, ...]], beats: int, density: float) -> Rhythm:
    """A motif: beats divided, held over, or silent."""
    found: list[tuple[float, float, bool]] = []
    beat = 0
    while beat < beats:
        held = min(beats - beat, chance.choice((2, 2, 3)))
        if chance.random() > density and held > 1:
            found.append((float(beat), float(held), True))
            beat += held
            continue
        onset = float(beat)
        silent = found and chance.random() < 0.12
        for part in (1.0,) if silent else chance.choice(list(cells)):
            found.append((onset, part, not silent))
            onset += part
        beat += 1
    return tuple(found)


def _phrase(chance: random.Random, motifs: Sequence[Rhythm], bars: int, beats: int, last: bool) -> Rhythm:
    """Two motifs, the second cut short for a long note and a breath."""
    first = chance.choice(list(motifs[:2]))
    second = first if chance.random() < 0.55 else motifs[2]
    whole = [*first, *((onset + 2 * beats, length, sounds) for onset, length, sounds in second)]
    end = bars * beats
    rest = 0.0 if last else chance.choice((0.0, 1.0, 1.0, min(2.0, beats - 1.0)))
    long = min(float(beats), chance.choice((1.0, 2.0, 2.0, 3.0)))
    stop = end - rest - long
    kept = [(onset, min(length, stop - onset), sounds) for onset, length, sounds in whole if onset < stop - 1e-6]
    return (*kept, (stop, long, True))
