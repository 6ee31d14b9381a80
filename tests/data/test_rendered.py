"""Rendered songs are what their captions and facts say, and the same ones whenever and wherever they are rendered."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soundfile

from musegen.data.rendering.harmony import SCALES, TONICS
from musegen.data.rendering.library import find_mma, read_library
from musegen.data.rendering.mixing import loudness
from musegen.data.rendering.mma import play
from musegen.data.rendering.score import Part, read_midi
from musegen.data.rendering.songs import Section, Song
from musegen.data.rendering.soundfont import find_soundfont, sound
from musegen.data.sample import Sample
from musegen.data.sources.rendered import Rendered
from renderer import need_renderer


def read(source: Rendered, number: int) -> tuple[Sample, np.ndarray]:
    """A song's sample and its audio ``[2, samples]``."""
    sample = source.read(number)
    assert sample is not None
    assert sample.audio is not None
    audio, rate = soundfile.read(io.BytesIO(sample.audio))
    assert rate == 44100
    return sample, audio.T


def test_every_style_sounds() -> None:
    need_renderer()
    library, styles = find_mma(), read_library(find_mma())
    silent, soundfont = set(), find_soundfont()
    for beats in {style.beats for style in styles}:
        alike = [style for style in styles if style.beats == beats]
        for first in range(0, len(alike), 6):  # MMA starts once for some, and grows slow with many
            some = alike[first : first + 6]
            sections = tuple(Section("A", style.grooves[-1], (("I",),)) for style in some)
            midi = play(library, Song("of some styles", beats, 0, "major", 240, sections))
            assert midi is not None
            parts, length = read_midi(midi, 0.25), beats * 0.25
            for number, style in enumerate(some):
                heard = [_between(part, number * length, (number + 1) * length) for part in parts]
                audio = sum((sound(part, soundfont, 8000, length) for part in heard if part.notes), np.zeros(1))
                if np.abs(audio).max() < 1e-3:
                    silent.add(style.name)
    assert len(styles) > 100
    assert not silent


def _between(part: Part, start: float, stop: float) -> Part:
    inside = (note for note in part.notes if start <= note.start < stop)
    return replace(part, notes=tuple(replace(note, start=note.start - start) for note in inside))


@pytest.mark.parametrize("style", ["bossanova", "waltz", "68swing", "jazz-54", "afro-cuban"])
def test_midi_is_what_the_song_says(style: str) -> None:
    need_renderer()
    import mido

    source = Rendered(1, seconds=8.0)
    source.styles = [one for one in source.styles if one.name == style]
    song = source.song(0)
    midi = play(source.mma, song)
    assert midi is not None
    assert play(source.mma, song) == midi  # MMA's chance is the song's own
    assert play(source.mma, replace(song, performance=song.performance + 1)) != midi
    messages = list(mido.merge_tracks(mido.MidiFile(file=io.BytesIO(midi)).tracks))
    tempos = [mido.tempo2bpm(message.tempo) for message in messages if message.type == "set_tempo"]
    assert tempos == [pytest.approx(song.clock, abs=0.5)]
    keys = [message.key for message in messages if message.type == "key_signature"]
    assert keys == [TONICS[song.mode][song.tonic] + "m" * (song.mode == "minor")]
    parts = read_midi(midi, 60 / song.clock)
    assert max(note.start for part in parts for note in part.notes) < song.seconds
    assert max(note.start for part in parts for note in part.notes) > song.seconds - 60 * song.genre.beats / song.tempo
    notes = [note.pitch for part in parts if part.role != "drums" for note in part.notes]
    fits = [sum((note - tonic) % 12 in SCALES[song.mode] for note in notes) / len(notes) for tonic in range(12)]
    assert fits[song.tonic] > 0.75
    assert fits[(song.tonic + 1) % 12] < 0.7


def test_audio_depends_on_nothing_but_the_number() -> None:
    need_renderer()
    source = Rendered(5, seed=3, seconds=5.0)
    first = [source.read(number) for number in (0, 1)]
    again = [Rendered(2, seed=3, seconds=5.0).read(number) for number in (1, 0)]
    assert first == again[::-1]
    assert first[0] is not None
    assert first[1] is not None
    assert first[0].audio != first[1].audio
    assert Rendered(1, seed=4, seconds=5.0).song(0) != source.song(0)
    assert Rendered(1, seed=3, seconds=5.0, split="val").song(0) != source.song(0)


def test_songs_are_as_loud_as_each_other_and_in_stereo() -> None:
    need_renderer()
    sides = []
    for number in range(6):
        sample, audio = read(Rendered(6, seed=11, seconds=6.0), number)
        assert audio.shape[1] <= 6 * 44100
        assert sample.facts["seconds"] == audio.shape[1] / 44100
        assert np.abs(audio).max() < 0.98
        assert 0.04 < loudness(audio, 44100) < 0.11
        sides.append(((audio[0] - audio[1]) ** 2).sum() / ((audio[0] + audio[1]) ** 2).sum())
    assert 10 * np.log10(np.median(sides)) > -20


def test_facts_say_what_was_played() -> None:
    need_renderer()
    source = Rendered(3, seed=8, seconds=12.0, split="unseen")
    song, (sample, _) = source.song(2), read(source, 2)
    facts = sample.facts
    assert sample.key == source.key(2) == "rendered-unseen-8-000002"
    assert source.split(2) == "test"
    assert (facts["tempo"], facts["style"], facts["metre"]) == (song.tempo, song.style, song.genre.metre)
    assert facts["progressions"] == dict(song.progressions)
    assert set(facts["grooves"]) == {section.groove for section in song.sections}
    assert facts["sections"][0][1] == 0
    assert facts["instruments"]
    assert (facts["split"], facts["seed"], facts["number"]) == ("unseen", 8, 2)
    assert facts["licence"] == "CC0-1.0"
    assert {**(source.facts(2) or {}), "seconds": facts["seconds"]} == facts
    if facts["key"] is not None:
        assert facts["key"] == song.key
    if facts["lead"] is not None:
        assert facts["lead"] in facts["instruments"]
    assert all(name in facts["captions"][0] for name in facts["instruments"])


def test_the_index_names_what_made_a_song_and_not_where_it_lay() -> None:
    need_renderer()
    made_by = Rendered(1, soundfont=find_soundfont(), mma=find_mma()).made_by
    assert made_by == Rendered(1).made_by
    assert set(made_by["init_args"]) == {"songs", "seed", "seconds", "split"}
    assert len(made_by["soundfont"]["sha256"]) == len(made_by["library"]["sha256"]) == 64


def test_wrong_arguments_get_one_line() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"songs": 0}, "expected songs of 1 or more"),
        ({"songs": 1, "seconds": 2.0}, "seconds of 4 or more"),
        ({"songs": 1, "split": "held_out"}, "split: expected one of train, val, unseen"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            Rendered(**arguments)
