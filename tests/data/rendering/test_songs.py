"""Songs fill their time in every key, in forms that repeat, and become MMA's language."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from musegen.data.rendering.genres import GENRES, genre
from musegen.data.rendering.library import Style, find_mma, read_library
from musegen.data.rendering.mma import script
from musegen.data.rendering.songs import RING, Section, Song, compose
from musegen.data.rendering.soundfont import find_soundfont, is_free
from renderer import need_renderer

SWING = Style("swing", 4, ("Swing", "SwingPlus"), (("SwingIntro", 4),), (("SwingEnd", 2),), ("SwingFill",))
WALTZ = Style("waltz", 3, ("Waltz",), (), (("WaltzEnd", 4),))
SIX = Style("68swing", 6, ("68Swing",))
KEYS = {(tonic, mode) for tonic in range(12) for mode in ("major", "minor")}


def songs(style: Style, count: int = 300, seconds: float = 40.0) -> list[Song]:
    return [compose(random.Random(seed), [style], seconds, "train") for seed in range(count)]


def test_songs_fill_their_time_in_all_keys_and_tempi() -> None:
    for style in (SWING, WALTZ, SIX):
        composed = songs(style)
        assert {(song.tonic, song.mode) for song in composed} == KEYS
        known = genre(style.name)
        assert len({song.tempo for song in composed}) > 0.7 * (known.fastest - known.slowest)
        for song in composed:
            bar = known.beats * 60 / song.tempo
            if song.sections[-1].name == "ending":
                assert 40.0 - RING - bar < song.seconds <= 40.0 - RING
            else:
                assert 40.0 <= song.seconds < 40.0 + bar
    assert len({song.performance for song in songs(WALTZ)}) > 290
    assert all(song.clock == 3 * song.tempo for song in songs(SIX))


def test_sections_repeat_and_some_have_another_groove() -> None:
    composed = songs(SWING)
    forms = {
        "".join(name for name in (section.name for section in song.sections) if len(name) == 1) for song in composed
    }
    assert {"AABA", "ABAB", "AAB", "AA"} <= {form[:4] for form in forms} | forms
    assert any(song.sections[0].name == "intro" for song in composed)
    assert any(section.fill == "SwingFill" for song in composed for section in song.sections)
    changes = 0
    for song in composed:
        letters = dict(song.progressions)
        grooves: dict[str, set[str]] = {}
        for section in song.sections:
            if section.name in letters:
                grooves.setdefault(section.name, set()).add(section.groove)
                assert len(section.bars) <= len(letters[section.name].split())
        assert all(len(some) == 1 for some in grooves.values())
        changes += len(set().union(*grooves.values())) > 1
    assert changes > 30
    starts = composed[0].starts()
    assert starts[0][1] == 0
    assert [start for _, start in starts] == sorted({start for _, start in starts})


def test_an_ending_comes_home() -> None:
    for song in songs(WALTZ):
        if song.sections[-1].name == "ending":
            home = "I" if song.mode == "major" else "i"
            assert song.sections[-1].bars[-2:] == ((home,), (home,))
            assert ("V7",) in song.sections[-1].bars


def test_chords_change_within_bars() -> None:
    bars = (("I",), ("ii7", "V7"))
    song = Song("swing", 4, 0, "major", 120, (Section("A", "Swing", bars, "SwingFill"),), (), 7)
    assert script(song).splitlines() == [
        *("RndSeed 7", "Tempo 120", "KeySig C major", "Groove Swing"),
        *("C", "Groove SwingFill", "Dm7 / G7"),
    ]
    assert [(beat, chord.name) for beat, chord in song.chords()] == [(0, "C"), (4, "Dm7"), (6, "G7")]
    six = Song("68swing", 6, 0, "major", 60, (Section("A", "68Swing", bars),))
    assert "Dm7 / / G7" in script(six)
    assert "Tempo 180" in script(six)


def test_styles_are_read_from_the_library(tmp_path: Path) -> None:
    library = tmp_path / "lib" / "stdlib"
    library.mkdir(parents=True)
    (library / "waltz.mma").write_text(
        "Time 3 // beats\nSeqSize 4\nDefGroove Waltz\nSeqSize 8\nDefGroove WaltzIntro8\nGroove Waltz\n"
        "DefGroove WaltzSus\nSeqSize 1\nDefGroove WaltzFill\nGroove waltz\nSeqSize 2\n"
        "DefGroove WaltzEnd\nGroove WaltzIntro8\nDefGroove WaltzIntro // again\nDefGroove DescendingWaltz\n"
    )
    (library / "none.mma").write_text("DefGroove None\n")
    (library / "metronome4.mma").write_text("DefGroove Metronome4\n")
    (library / "ends.mma").write_text("DefGroove SomeEnd\n")
    assert read_library(str(tmp_path)) == (
        Style(
            "waltz",
            3,
            ("Waltz", "WaltzSus", "DescendingWaltz"),
            (("WaltzIntro8", 8), ("WaltzIntro", 8)),
            (("WaltzEnd", 2),),
            ("WaltzFill",),
        ),
    )
    assert find_mma(str(tmp_path)) == str(tmp_path)


def test_the_library_is_known() -> None:
    need_renderer()
    styles = {style.name: style for style in read_library(find_mma())}
    assert set(styles) == set(GENRES)
    assert sum(len(style.grooves) for style in styles.values()) > 700
    for name, style in styles.items():
        known = GENRES[name]
        assert style.beats == known.beats * known.pulse, name
        assert 40 < known.slowest < known.fastest <= 180


def test_a_style_that_nobody_knows_is_called_by_its_name() -> None:
    assert genre("my-own", 5).words == "my own"
    assert genre("my-own", 5).metre == "5/4"
    assert genre("my-own", 5).beats == 5


def test_what_is_missing_gets_one_line(tmp_path: Path) -> None:
    for find, what in ((find_mma, "expected MMA"), (find_soundfont, "expected a soundfont")):
        with pytest.raises(ValueError, match=f"{what}.*nowhere") as error:
            find(str(tmp_path / "nowhere"))
        assert "\n" not in str(error.value)


def test_another_soundfont_has_no_known_licence() -> None:
    assert is_free("/usr/share/sounds/sf2/FluidR3_GM.sf2")
    assert not is_free("/home/me/mine.sf2")
