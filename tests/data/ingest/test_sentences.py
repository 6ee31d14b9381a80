"""Captions that are built say what is known, in several ways, and nothing else."""

from __future__ import annotations

import itertools

from musegen.data.ingest.sentences import Known, describe, key_name, listed

FULL = Known(("rock", "indie pop"), ("rock", "guitar", "00s"), 139.6, "D minor", "minor", 0.9, 0.1, "en")


def test_everything_that_is_known_is_said() -> None:
    assert describe(FULL) == {
        "main": "an energetic, melancholic, fast rock and indie pop song at 140 bpm in D minor sung in English",
        "words": "rock, indie pop, guitar, 00s, energetic, melancholic, fast, 140 bpm, D minor, English",
        "genre": "a rock and indie pop song",
        "mood": "an energetic and melancholic rock song",
        "music": "a fast rock song at 140 bpm in D minor",
        "tags": "rock, guitar, 00s",
    }
    calm = describe(Known(("ambient",), tempo=60, mode="major", energy=0.1, valence=0.9, language="INSTRUMENTAL"))
    assert calm["main"] == "a calm, cheerful, very slow ambient instrumental piece at 60 bpm in a major key"
    assert "sung" not in calm["main"]


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert describe(Known()) == {}
    assert describe(Known(tags=("choir",))) == {"main": "choir"}
    assert describe(Known(("waltz",))) == {"main": "a waltz piece", "words": "waltz"}
    assert describe(Known(tempo=4000.0)) == {}
    parts = {
        "genres": ("rock",), "tags": ("loud",), "tempo": 100.0, "key": "C major", "energy": 0.5, "language": "xx",
    }  # fmt: skip
    for some in itertools.chain.from_iterable(itertools.combinations(parts, size) for size in range(len(parts) + 1)):
        captions = describe(Known(**{name: parts[name] for name in some}))
        assert len(set(captions.values())) == len(captions)
        for text in captions.values():
            assert text == " ".join(text.split())
            assert "None" not in text
            assert not text.endswith((",", "in", "at"))
        assert not captions or next(iter(captions)) == "main"


def test_keys_and_lists_have_names() -> None:
    assert key_name(9, 0) == "A minor"
    assert key_name(0.0, 1.0) == "C major"
    assert [key_name(*pair) for pair in ((-1, 1), (12, 0), (None, 0), (3, None), (3, 2), (0.5, 1))] == [None] * 6
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
