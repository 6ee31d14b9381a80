"""Who plays: parts are read from MIDI, and ensembles have the players that their names say."""

from __future__ import annotations

import io
import random
import sys
from typing import Any

import pytest

from helpers import require
from musegen.data.rendering.ensemble import KINDS, Ensemble, assemble
from musegen.data.rendering.instruments import LEADS, NAMES, SOLOISTS, kin
from musegen.data.rendering.score import Note, Part, read_midi, shift, together, within


def part(role: str, program: int, pitch: int = 60, every: float = 0.5, seconds: float = 20.0) -> Part:
    count = int(seconds / every)
    return Part(role, program, tuple(Note(number * every, 0.9 * every, pitch, 80) for number in range(count)))


BAND = [part("drums", 0, 38), part("bass", 32, 40), part("chords", 26), part("chords", 0, 64), part("pad", 48, 67)]


def lead(program: int) -> Part:
    return part("lead", program, LEADS[program][0])


def ensembles(parts: list[Part], count: int = 400) -> list[Ensemble]:
    return [assemble(random.Random(seed), parts, 20.0, lead) for seed in range(count)]


def test_ensembles_are_what_they_are_called() -> None:
    made = ensembles(BAND)
    assert {one.kind for one in made} == set(KINDS)
    for one in made:
        roles = sorted({each.role for each in one.parts})
        if one.kind == "solo":
            (alone,) = one.parts
            low, high = SOLOISTS[alone.program]
            assert all(low <= note.pitch <= high for note in alone.notes)
        elif one.kind == "duo":
            assert roles in (["bass", "chords"], ["chords", "lead"])
            assert len({each.instrument for each in one.parts}) == 2
        else:
            expected = {
                "melody alone": [["lead"]],
                "drums alone": [["drums"]],
                "trio": [["bass", "chords", "drums"]],
                "bass and drums": [["bass", "drums"]],
                "without drums": [["bass", "chords", "pad"], ["bass", "chords", "lead", "pad"]],
                "band": [["bass", "chords", "drums", "pad"], ["bass", "chords", "drums", "lead", "pad"]],
            }
            assert roles in expected[one.kind]
    programs = {each.program for one in made if one.kind == "solo" for each in one.parts}
    assert len(programs) > 10
    assert len({each.program for one in made for each in one.parts if each.role == "lead"}) > 25


def test_where_players_lack_all_play_that_are_there() -> None:
    for one in ensembles(BAND[:1], 200):
        assert one.kind in ("band", "drums alone", "melody alone")
        assert one.kind == "drums alone" or any(each.role == "lead" for each in one.parts)
    seldom = [part("chords", 0, seconds=4.0), *BAND[:2]]  # gone after a fifth of the piece
    assert not {"solo", "duo", "trio"} & {one.kind for one in ensembles(seldom)}


def test_the_melody_is_played_by_nobody_else() -> None:
    for one in ensembles(BAND):
        names = [each.instrument for each in one.parts if each.role != "lead"]
        assert not any(each.instrument in names for each in one.parts if each.role == "lead")


def test_notes_move_by_octaves_into_reach() -> None:
    assert [within(pitch, 40, 64) for pitch in (28, 39, 40, 64, 65, 100)] == [40, 51, 40, 64, 53, 64]
    moved = shift(part("chords", 26, 100), 0, 40, 64)
    assert {note.pitch for note in moved.notes} == {64}
    assert moved.program == 0


def test_a_note_struck_twice_sounds_once() -> None:
    joined = together([part("chords", 0, 60), part("bass", 32, 60), part("bass", 32, 48)])
    assert (joined.role, joined.program) == ("chords", 0)
    assert len(joined.notes) == 80
    assert list(joined.notes) == sorted(joined.notes)


def test_presence_is_the_share_of_seconds() -> None:
    assert part("chords", 0).presence(20.0) == 1.0
    assert part("chords", 0, seconds=4.0).presence(20.0) == pytest.approx(0.2)
    assert Part("pad", 48, (Note(0.0, 9.5, 60, 80),)).presence(20.0) == pytest.approx(0.5)


def test_drums_are_told_from_percussion() -> None:
    assert part("drums", 0, 36).instrument == "drums"
    assert part("drums", 0, 64).instrument == "percussion"
    assert part("chords", 0).instrument == "piano"
    assert len(NAMES) == 128
    assert all(program in kin(program) for program in range(128))


def test_midi_becomes_parts() -> None:
    require("mido")
    import mido

    def track(name: str, *messages: Any) -> mido.MidiTrack:
        return mido.MidiTrack([mido.MetaMessage("track_name", name=name), *messages])

    def on(note: int, time: int = 0, channel: int = 0) -> mido.Message:
        return mido.Message("note_on", note=note, velocity=90, time=time, channel=channel)

    def off(note: int, time: int, channel: int = 0) -> mido.Message:
        return mido.Message("note_on", note=note, velocity=0, time=time, channel=channel)

    change = [mido.Message("program_change", program=program) for program in (26, 48)]
    file = mido.MidiFile(ticks_per_beat=192)
    file.tracks += [
        track("", mido.MetaMessage("set_tempo", tempo=400000)),
        track("Drum", on(38, channel=9), off(38, 1, channel=9)),
        track("Walk", on(40), off(40, 96)),
        track("Chord-Sus", change[1], on(60), off(60, 768)),
        track("Chord-Guitar", change[0], on(60), off(60, 192), change[1], on(62), off(62, 192)),
    ]
    buffer = io.BytesIO()
    file.save(file=buffer)
    parts = read_midi(buffer.getvalue(), 0.5)
    assert [(one.role, one.program) for one in parts] == [
        *(("bass", 0), ("chords", 26), ("chords", 48), ("drums", 0), ("pad", 48))
    ]
    assert parts[0].notes == (Note(0.0, 0.25, 40, 90),)
    assert parts[2].notes == (Note(0.5, 0.5, 62, 90),)
    assert parts[4].notes == (Note(0.0, 2.0, 60, 90),)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from musegen.data.rendering.soundfont import sound

    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ValueError, match="pip install mido"):
        read_midi(b"", 0.5)
    with pytest.raises(ValueError, match="pip install --no-deps tinysoundfont"):
        sound(BAND[0], "font.sf2", 8000, 4.0)
