"""Melodies fit their chords, their instrument and their metre, and rest."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from musegen.data.rendering.genres import GENRES
from musegen.data.rendering.harmony import scale
from musegen.data.rendering.library import Style
from musegen.data.rendering.melody import is_swung, write_melody
from musegen.data.rendering.score import Note
from musegen.data.rendering.songs import Song, compose

REACH = (60, 84)


def song(seed: int, style: str = "swing") -> Song:
    known = GENRES[style]
    return compose(random.Random(seed), [Style(style, int(known.beats * known.pulse), (style,))], 40.0, "train")


def melody(one: Song, seed: int = 0, swung: bool = False) -> tuple[Note, ...]:
    return write_melody(random.Random(seed), one, REACH, swung)


@pytest.mark.parametrize("style", ["swing", "waltz", "68swing", "jazz-54", "blues128", "afro-cuban", "68march"])
def test_a_melody_fits(style: str) -> None:
    strong = leaps = total = 0
    for seed in range(12):
        one = song(seed, style)
        notes = melody(one, seed)
        chords = [(start * 60 / one.clock, chord) for start, chord in one.chords()]
        assert all(REACH[0] <= note.pitch <= REACH[1] and 1 <= note.velocity <= 127 for note in notes)
        ends = [note.start + note.duration for note in notes]
        assert all(end <= later.start + 1e-6 for end, later in zip(ends, notes[1:], strict=False))  # one voice
        assert ends[-1] <= one.seconds + 0.05
        assert one.seconds / len(notes) < 3.0
        for note in notes:
            under = next(chord for start, chord in reversed(chords) if start <= note.start + 0.02)
            assert note.pitch % 12 in scale(one.tonic, one.mode, under)
            on_beat = abs((note.start * one.tempo / 60 + 0.02) % 1) < 0.06
            strong += on_beat and note.pitch % 12 not in under.tones
        steps = np.abs(np.diff([note.pitch for note in notes]))
        leaps += int((steps > 7).sum())
        total += len(steps)
        assert len(set(steps)) > 3
    assert strong == 0
    assert leaps < 0.06 * total


def test_it_ends_on_the_tonic_where_the_chord_lets_it() -> None:
    for seed in range(30):
        one = song(seed)
        note = melody(one, seed)[-1]
        under = [chord for start, chord in one.chords() if start * 60 / one.clock <= note.start + 1e-6][-1]
        assert note.pitch % 12 == (one.tonic if one.tonic in under.tones else under.root)


def test_rhythms_come_back() -> None:
    again = 0
    for seed in range(40):
        one = replace(song(seed), tempo=100)
        beats = [round(note.start * 100 / 60 * 12) / 12 for note in melody(one, seed)]
        bars = [tuple(beat - 4 * bar for beat in beats if 4 * bar <= beat < 4 * bar + 4) for bar in range(one.bars)]
        again += len(set(bars)) <= 0.75 * len(bars)
    assert again > 25


def test_the_seed_decides() -> None:
    one = song(1)
    assert melody(one, 3) == melody(one, 3)
    assert melody(one, 3) != melody(one, 4)


def test_swing_is_heard() -> None:
    def accompaniment(offbeat: float) -> list[Note]:
        return [Note(0.5 * (beat + part), 0.1, 60, 80) for beat in range(16) for part in (0.0, offbeat)]

    assert is_swung(accompaniment(2 / 3), 0.5)
    assert not is_swung(accompaniment(1 / 2), 0.5)
    assert not is_swung(accompaniment(2 / 3)[:4], 0.5)
    one = replace(song(2), tempo=80)
    places = {
        swung: {
            round((note.start * 80 / 60 % 1) * 12)
            for seed in range(8)
            for note in melody(one, seed, swung)
            if note.start
        }
        for swung in (True, False)
    }
    assert {4, 8} & places[True]
    assert 6 not in places[True]
    assert 6 in places[False]
    assert 8 not in places[False]
