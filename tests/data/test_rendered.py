"""Rendered songs are what their captions say, and the same ones whenever and wherever they are rendered."""

from __future__ import annotations

import io
import random
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch

from musegen.data.rendering.captions import METRES, tempo_word, write_captions
from musegen.data.rendering.mma import find_mma, grooves, play
from musegen.data.rendering.songs import PROGRESSIONS, TONICS, Song, Style, chord, compose
from musegen.data.rendering.soundfont import find_soundfont, instruments, is_free, render
from musegen.data.sources.rendered import Rendered
from renderer import need_renderer

WALTZ = Style("waltz", 3, ("Waltz", "WaltzSus"), ("WaltzEnd",))
SIX = Style("68swing", 6, ("68Swing",), ())
SONG = Song("bossanova", "BossaNova", 4, 2, "minor", 84, ("Dm",) * 8, None)
SCALES = {"major": {0, 2, 4, 5, 7, 9, 11}, "minor": {0, 2, 3, 5, 7, 8, 10}}
HEARD = ["nylon guitar", "drums", "flute"]


def songs(style: Style, count: int = 200) -> list[Song]:
    return [compose(random.Random(seed), [style], 20.0) for seed in range(count)]


def test_chords_are_those_of_the_key() -> None:
    assert [chord(0, degree) for degree in ("I", "ii7", "bVII", "V7", "vi")] == ["C", "Dm7", "Bb", "G7", "Am"]
    assert [chord(9, degree) for degree in ("i", "iv", "bVI", "V7")] == ["Am", "Dm", "F", "E7"]
    names = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
    for mode, forms in PROGRESSIONS.items():
        for degree in {degree for form in forms for degree in form.split()}:
            root = re.match(r"[A-G]b?", chord(0, degree))
            assert root is not None
            assert names.index(root[0]) in SCALES[mode] | {10}, degree


def test_songs_fill_their_time_in_all_keys() -> None:
    for style, beats in ((WALTZ, 3), (SIX, 2)):
        composed = songs(style)
        assert {(song.tonic, song.mode) for song in composed} == {(t, m) for m in TONICS for t in range(12)}
        for song in composed:
            seconds = len(song.chords) * beats * 60 / song.tempo
            assert 20.0 < seconds < 20.0 + 1.01 * max(beats, 4 * (len(song.chords) == 4)) * 60 / song.tempo
    assert any(song.ending for song in songs(WALTZ))
    assert all(song.clock == 3 * song.tempo for song in songs(SIX))
    assert len({song.performance for song in songs(WALTZ)}) > 190


def test_captions_say_what_is_true_and_differ() -> None:
    captions = write_captions(random.Random(0), SONG, HEARD)
    assert len(set(captions)) == len(captions) == 6
    for caption in captions:
        assert not re.search(r"major|waltz|  |three four|None", caption), caption
    assert sum("84" in caption for caption in captions) == 3
    assert sum("D minor" in caption for caption in captions) == 4
    assert sum("bossa nova" in caption for caption in captions) >= 4
    assert all(name in captions[0] for name in HEARD)
    everything = write_captions(random.Random(0), replace(SONG, metre=6, tempo=70, mode="major"), ["drums", "flute"])
    assert any("in six eight" in caption for caption in everything)
    assert sum("very slow" in caption for caption in everything) == 5
    assert not any("drums playing" in caption for caption in everything)


def test_words_for_tempi() -> None:
    words = [tempo_word(tempo) for tempo in range(60, 181)]
    assert list(dict.fromkeys(words)) == ["very slow", "slow", "mid-tempo", "fast", "very fast"]


def test_styles_are_read_from_the_library(tmp_path: Path) -> None:
    library = tmp_path / "lib" / "stdlib"
    library.mkdir(parents=True)
    (library / "waltz.mma").write_text("Time 3\nDefGroove WaltzIntro\nDefGroove Waltz\nDefGroove WaltzEnd\n")
    (library / "none.mma").write_text("DefGroove None\n")
    (library / "metronome4.mma").write_text("DefGroove Metronome4\n")
    (library / "ends.mma").write_text("DefGroove SomeEnd\n")
    assert grooves(str(tmp_path)) == [Style("waltz", 3, ("Waltz",), ("WaltzEnd",))]
    assert find_mma(str(tmp_path)) == str(tmp_path)


def test_what_is_missing_gets_one_line(tmp_path: Path) -> None:
    for find, what in ((find_mma, "expected MMA"), (find_soundfont, "expected a soundfont")):
        with pytest.raises(ValueError, match=f"{what}.*nowhere") as error:
            find(str(tmp_path / "nowhere"))
        assert "\n" not in str(error.value)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tinysoundfont", None)
    monkeypatch.setitem(sys.modules, "mido", None)
    with pytest.raises(ValueError, match="pip install mido"):
        instruments(b"")
    with pytest.raises(ValueError, match="pip install --no-deps tinysoundfont"):
        render(b"", "font.sf2", 8000, 4.0, random.Random(0))


def played(source: Rendered, style: str) -> tuple[Song, bytes]:
    """A song over a style, as MIDI."""
    chosen = next(one for one in source.styles if one.name == style)
    song = compose(random.Random(style), [replace(chosen, grooves=chosen.grooves[:1])], 8.0)
    midi = play(source.mma, song)
    assert midi is not None
    return song, midi


@pytest.mark.parametrize("style", ["bossanova", "waltz", "68swing", "jazz-54", "pianoballad"])
def test_midi_is_what_the_caption_says(style: str) -> None:
    need_renderer()
    import mido

    song, midi = played(Rendered(1), style)
    assert play(find_mma(), song) == midi  # MMA's chance is the song's own
    assert play(find_mma(), replace(song, performance=song.performance + 1)) != midi
    messages = list(mido.merge_tracks(mido.MidiFile(file=io.BytesIO(midi)).tracks))
    tempos = [mido.tempo2bpm(message.tempo) for message in messages if message.type == "set_tempo"]
    beats = 3 if METRES.get(song.metre) == "in six eight" else 1
    assert [round(tempo) for tempo in tempos] == [song.tempo * beats]
    keys = [message.key for message in messages if message.type == "key_signature"]
    assert keys == [TONICS[song.mode][song.tonic] + "m" * (song.mode == "minor")]
    metres = [message.numerator for message in messages if message.type == "time_signature"]
    assert metres == [song.metre]
    notes = [message.note for message in messages if message.type == "note_on" and message.channel != 9]
    fits = [sum((note - tonic) % 12 in SCALES[song.mode] for note in notes) / len(notes) for tonic in range(12)]
    assert fits[song.tonic] > 0.85
    assert fits[(song.tonic + 1) % 12] < 0.7


def test_audio_depends_on_nothing_but_the_number() -> None:
    need_renderer()
    source = Rendered(5, seed=3, seconds=4.0)
    first = [source.read(number) for number in (0, 1)]
    again = [Rendered(2, seed=3, seconds=4.0).read(number) for number in (1, 0)]
    for one, other in zip(first, reversed(again), strict=True):
        assert one is not None
        assert other is not None
        assert (one.key, one.audio, one.facts) == (other.key, other.audio, other.facts)
    assert first[0] is not None
    assert first[1] is not None
    assert first[0].audio != first[1].audio
    assert first[0].audio is not None
    audio, rate = soundfile.read(io.BytesIO(first[0].audio))
    assert rate == 44100
    assert audio.shape[0] == 4 * 44100
    assert audio.std() > 0.01
    assert not (audio[:, 0] == audio[:, 1]).all()


def test_a_style_cannot_undo_the_places_in_the_stereo_field() -> None:
    need_renderer()
    import mido

    def piece(*controls: mido.Message, length: int = 2880) -> bytes:
        notes = [mido.Message("note_on", note=60, velocity=90), mido.Message("note_off", note=60, time=length)]
        file = mido.MidiFile(tracks=[mido.MidiTrack([*controls, *notes])])
        buffer = io.BytesIO()
        file.save(file=buffer)
        return buffer.getvalue()

    def sound(midi: bytes, seed: int) -> torch.Tensor:
        audio = render(midi, find_soundfont(), 8000, 4.0, random.Random(seed))
        assert audio is not None
        return audio

    plain, panned = piece(), piece(mido.Message("control_change", control=10, value=0))
    assert torch.equal(sound(plain, 1), sound(panned, 1))
    assert not torch.equal(sound(plain, 1), sound(plain, 2))
    assert render(piece(length=100), find_soundfont(), 8000, 4.0, random.Random(0)) is None  # over too soon


def test_styles_can_be_held_out() -> None:
    need_renderer()
    everything, train, held = (
        {style.name for style in Rendered(1, held_out_styles=which).styles} for which in (None, "train", "held_out")
    )
    assert train | held == everything
    assert not train & held
    assert len(held) == len(everything) // 10
    with pytest.raises(ValueError, match="held_out_styles"):
        Rendered(1, held_out_styles="other")


def test_another_soundfont_has_no_known_licence() -> None:
    assert is_free("/usr/share/sounds/sf2/FluidR3_GM.sf2")
    assert not is_free("/home/me/mine.sf2")
