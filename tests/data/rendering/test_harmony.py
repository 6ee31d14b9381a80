"""Degrees become the chords of a key, and progressions say which key that is."""

from __future__ import annotations

import numpy as np
import pytest

from musegen.data.rendering.harmony import TONICS, chord, coloured, scale
from musegen.data.rendering.progressions import PROGRESSIONS, identity, suited

MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""Krumhansl and Kessler's profiles of C major and C minor."""

EVERY = [(mode, one) for mode, tables in PROGRESSIONS.items() for table in tables.values() for one in table]


def degrees(progression: str) -> list[tuple[str, float]]:
    """Every chord with the share of a bar that it lasts."""
    bars = [bar.split(",") for bar in progression.split()]
    return [(degree, 1 / len(bar)) for bar in bars for degree in bar]


def tones(progression: str) -> np.ndarray:
    """How long each pitch class sounds in C, roots twice."""
    found = np.zeros(12)
    for degree, share in degrees(progression):
        here = chord(0, degree)
        for tone in (*here.tones, here.root):
            found[tone] += share
    return found


def test_degrees_become_chords() -> None:
    names = {
        "I": "C",
        "ii7": "Dm7",
        "bVII": "Bb",
        "V7": "G7",
        "vi": "Am",
        "#io7": "Dbdim7",
        "iih7": "Dm7b5",
        "IM7": "CM7",
    }
    assert {degree: chord(0, degree).name for degree in names} == names
    assert [chord(9, degree).name for degree in ("i", "iv", "bVI", "V7")] == ["Am", "Dm", "F", "E7"]
    assert chord(2, "V7").tones == (9, 1, 4, 7)
    assert chord(11, "bIII").root == 2
    for wrong in ("", "VIII", "H", "V13", "7"):
        with pytest.raises(ValueError, match="expected a degree such as ii7"):
            chord(0, wrong)


def test_a_melody_bends_to_the_chord() -> None:
    a_minor = {9, 11, 0, 2, 4, 5, 7}
    assert set(scale(9, "minor", chord(9, "i"))) == a_minor
    assert set(scale(9, "minor", chord(9, "V7"))) == a_minor - {7} | {8}  # g sharp, and no g beside it
    for mode, tables in PROGRESSIONS.items():
        for degree in {degree for table in tables.values() for one in table for degree, _ in degrees(one)}:
            here = chord(4, degree)
            assert set(here.tones) <= set(scale(4, mode, here))


def test_colours_keep_the_chord() -> None:
    for mode in TONICS:
        for degree in ("I", "ii", "iii", "IV", "V", "vi", "i", "iv", "v", "bVI", "bVII", "VI7", "iih7"):
            assert set(chord(0, degree).tones) <= set(chord(0, coloured(degree, mode)).tones)
    assert coloured("I", "major") == "IM7"
    assert coloured("I7", "major") == "I7"


def test_there_are_many_progressions_and_none_twice() -> None:
    for mode, tables in PROGRESSIONS.items():
        one_of_each = [one for table in tables.values() for one in table]
        assert len(one_of_each) == len(set(one_of_each)) > 80
        assert {suited(mode, metre, "rock") for metre in ("4/4", "3/4", "5/4")} != {tables["any"]}
    assert set(PROGRESSIONS["minor"]["three"]) <= set(suited("minor", "3/4", "waltz"))
    assert not set(PROGRESSIONS["major"]["two"]) & set(suited("major", "3/4", "waltz"))


@pytest.mark.parametrize(("mode", "progression"), EVERY)
def test_a_progression_tells_its_key(mode: str, progression: str) -> None:
    heard = tones(progression)
    fits = {
        (tonic, name): np.corrcoef(np.roll(profile, tonic), heard)[0, 1]
        for tonic in range(12)
        for name, profile in (("major", MAJOR), ("minor", MINOR))
    }
    own = fits.pop((0, mode))
    assert own > max(fits.values()) - 0.1


def test_an_identity_is_that_of_the_same_music_begun_elsewhere() -> None:
    assert identity("I V vi IV") == identity("vi IV I V") == identity("I V7 vi7 IVM7 I V vi IV")
    assert identity("I V vi IV") != identity("I IV vi V")
    assert identity("I bIII IV I") != identity("I bIII IV")
    assert identity("ii7,V7 I") == identity("I ii,V")
