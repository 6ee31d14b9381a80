"""What captions say, and what they do not."""

from __future__ import annotations

import pytest

from musegen.metrics.musicnn.network import TAGS
from musegen.metrics.wanted import named_in, parse_key, parse_tempo, tag_map, wanted_of


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("a slow sad piano ballad in D minor", 14), ("in F# minor", 18), ("in Bb major, fast", 10), ("B♭ major", 10),
        ("C sharp minor", 13), ("E-flat major", 3), ("in Cb major", 11), ("a tune in a minor key", None),
        ("A minor key piece", None), ("a major success", None), ("in d minor", None), ("", None), ("C major", 0),
    ],
)  # fmt: skip
def test_keys_are_read_from_captions(text: str, key: int | None) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    ("text", "tempo"),
    [
        ("at 92 bpm", 92), ("92 BPM", 92), ("120 beats per minute", 120), ("120 beats a minute", 120), ("92-bpm", 92),
        ("the 92 best", None), ("1990 bpmx", None), ("87.5 bpm", 87.5), ("", None),
    ],
)  # fmt: skip
def test_tempi_are_read_from_captions(text: str, tempo: float | None) -> None:
    assert parse_tempo(text) == tempo


def test_longer_words_come_first() -> None:
    assert named_in("a fretless bass and a Jazz Guitar", "instruments") == {"bass", "guitar"}
    assert named_in("electric bass guitar", "instruments") == {"bass"}
    assert named_in("harpsichord", "instruments") == {"harpsichord"}
    assert named_in("western swing", "genres") == {"country"}
    assert named_in("bossa nova", "genres") == {"latin"}
    assert named_in("rocking chair", "genres") == frozenset()


def test_facts_count_more_than_words() -> None:
    wanted = wanted_of("in C major at 90 bpm with piano", {"key": "C minor", "tempo": 120, "instruments": ["flute"]})
    assert (wanted.key, wanted.mode, wanted.tempo, wanted.instruments) == (12, "minor", 120.0, {"flute"})


@pytest.mark.parametrize("facts", [{"tempo": "fast"}, {"tempo": -1}, {"key": 7}, {"instruments": "piano"}, {"mode": 3}])
def test_strange_facts_are_no_facts(facts: dict[str, object]) -> None:
    wanted = wanted_of("", facts)
    assert (wanted.key, wanted.mode, wanted.tempo, wanted.instruments) == (None, None, None, frozenset())


def test_c_major_is_a_key_though_it_is_number_0() -> None:
    assert wanted_of("in D minor", {"key": "C major"}).key == 0
    assert wanted_of("in C major").mode == "major"


def test_a_mode_without_a_key() -> None:
    assert wanted_of("flute playing a slow tune in a minor key").mode == "minor"
    assert wanted_of("from minor to major").mode is None


@pytest.mark.parametrize("kind", ["instruments", "genres"])
def test_every_tag_of_the_map_is_one_of_musicnns(kind: str) -> None:
    for name, entry in tag_map(kind).items():
        assert name in named_in(entry["words"][0], kind)
        for tag in entry["tags"]:
            dataset, _, tag_name = tag.partition(":")
            assert tag_name in TAGS[dataset]
