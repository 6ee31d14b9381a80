"""Captions say what is true, in several ways, and no word twice."""

from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from musegen.data.rendering.captions import METRES, article, listed, mood, pace, write_captions
from musegen.data.rendering.genres import GENRES
from musegen.data.rendering.instruments import HAND, KIT, LEADS, NAMES
from musegen.data.rendering.performance import Arrangement
from musegen.data.rendering.songs import Section, Song

SMALL_WORDS = {"a", "an", "and", "at", "in", "on", "with", "for", "by", "of", "the", "piano", "guitar", "bass", "sax"}
SMALL_WORDS |= {"synth", "strings", "electric", "drums", "organ", "grand", "nylon", "steel", "jazz", "blues", "four"}
BAND = ("alto sax", "nylon guitar", "fretless bass", "drums")


def song(style: str = "bossanova", tempo: int = 84, mode: str = "minor", tonic: int = 1) -> Song:
    known = GENRES[style]
    return Song(style, int(known.beats * known.pulse), tonic, mode, tempo, (Section("A", style, (("I",),)),))


def played(kind: str = "band", names: tuple[str, ...] = BAND, lead: str | None = "alto sax") -> Arrangement:
    return Arrangement(kind, (), names, lead)


def captions(one: Song, by: Arrangement, count: int = 60) -> list[str]:
    return [caption for seed in range(count) for caption in write_captions(random.Random(seed), one, by)]


def test_the_first_caption_says_everything() -> None:
    for seed in range(40):
        first = write_captions(random.Random(seed), song(), played())[0]
        assert re.search(r"in C(#| sharp) minor", first)
        assert re.search(r"at 84 (bpm|beats per minute)", first)
        assert "bossa nova" in first
        assert "slow" in first or "unhurried" in first
        assert all(name in first for name in BAND)


def test_there_are_many_ways_and_all_are_true() -> None:
    made = captions(song(), played())
    assert len(set(made)) > 150
    for caption in made:
        assert not re.search(r"major|waltz|three|fast|cheerful|None|  |solo|alone| ,|,,", caption), caption
        numbers = re.findall(r"\d+", caption.replace("4/4", ""))
        assert set(numbers) <= {"84"}, caption
    said = " | ".join(made)
    for words in ("C# minor", "C sharp minor", "84 bpm", "84 beats per minute", "four four", "sad", "alto sax melody"):
        assert words in said
    assert 6 <= len(write_captions(random.Random(0), song(), played())) <= 8


@pytest.mark.parametrize("style", sorted(GENRES))
def test_no_caption_says_a_word_twice(style: str) -> None:
    known = GENRES[style]
    for mode, tempo in (("major", known.slowest), ("minor", known.fastest)):
        for by in (played(), played("solo", ("piano",), None), played("without drums", BAND[:3], None)):
            for caption in captions(song(style, tempo, mode), by, 12):
                words = Counter(re.findall(r"[A-Za-z'-]{3,}", caption.lower()))
                twice = {word for word, count in words.items() if count > 1} - SMALL_WORDS
                assert not twice, caption
                assert not re.search(r"\b(a [aeiou]|an [^aeiouR])", caption), caption


def test_one_alone_is_said_so() -> None:
    made = captions(song(), played("solo", ("harp",), None))
    assert any("solo harp" in caption for caption in made)
    assert any("harp alone" in caption for caption in made)
    assert all("drums" not in caption for caption in made)
    assert any("big band" in caption for caption in captions(song("bigband", 120), played()))
    assert not any("big band" in caption for caption in captions(song("bigband", 120), played("solo", ("harp",), None)))


def test_drums_alone_have_no_key_and_no_mood() -> None:
    for caption in captions(song("rhumba", 130), played("drums alone", ("drums",), None)):
        assert not re.search(r"minor|major|key|driving|dark|restless", caption), caption


def test_no_drums_is_said_only_without_drums() -> None:
    made = captions(song(), played("without drums", BAND[:3]))
    assert any("no drums" in caption for caption in made)
    assert any("without drums" in caption for caption in made)
    assert not any(re.search("no drums|without", caption) for caption in captions(song(), played()))


def test_metres_are_those_of_the_style() -> None:
    for style, words in (("68swing", "six eight"), ("blues128", "twelve eight"), ("jazz-54", "five four")):
        made = captions(song(style, 100), played())
        assert any(words in caption for caption in made)
        assert not any(re.search("three four|four four|4/4|3/4", caption) for caption in made)
    assert all(not re.search("three four|3/4|triple", caption) for caption in captions(song("waltz", 100), played()))
    assert set(METRES) == {known.metre for known in GENRES.values()}


def test_words_for_tempi_and_moods() -> None:
    words = [pace(tempo) for tempo in range(50, 181)]
    assert list(dict.fromkeys(words)) == ["very slow", "slow", "mid-tempo", "fast", "very fast"]
    assert [mood("major", tempo) for tempo in (60, 100, 160)] == ["calm", None, "cheerful"]
    assert [mood("minor", tempo) for tempo in (60, 100, 160)] == ["sad", None, "driving"]


def test_english() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [article(word) for word in ("oboe", "flute", "R&B ballad", "honky-tonk")] == [
        *("an oboe", "a flute", "an R&B ballad", "a honky-tonk")
    ]
    assert len({*NAMES, KIT, HAND}) > 100
    assert not any(NAMES[program].endswith("s") for program in LEADS)  # one says "a" before them
