"""The script that fits the judges: which songs it takes, and what it says and keeps of names that are heard or not."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musegen.metrics.base import MusicSet
from musegen.metrics.music import Piece
from musegen.metrics.wanted import wanted_of

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(sys, "path", [str(SCRIPTS), *sys.path])
    import fit_judges  # type: ignore[import-not-found]  # of scripts/

    return fit_judges


def pieces(captions: list[str]) -> list[Piece]:
    return [Piece(str(n), text, wanted_of(text), bytes, (text,)) for n, text in enumerate(captions)]


def test_rare_names_are_taken_first(script: Any) -> None:
    songs = pieces(["jazz with piano"] * 80 + ["jazz with harp"] * 5 + ["rock with sitar"] * 15)
    taken = script.chosen(songs, 30)
    assert len(taken) == 30
    assert [piece.key for piece in taken] == sorted((piece.key for piece in taken), key=int)
    count = Counter(piece.caption for piece in taken)
    assert count["jazz with harp"] == 5, "all that there are"
    assert count["rock with sitar"] >= 10
    assert count["jazz with piano"] >= 10, "half are spread evenly"
    assert script.chosen(songs, 1000) == songs


def test_names_that_cannot_be_heard_are_left_out(script: Any, capsys: pytest.CaptureFixture[str]) -> None:
    chance = np.random.Generator(np.random.Philox(3))
    features, sets = {}, {}
    for split, count in (("train", 200), ("val", 120), ("unseen", 60)):
        piano, flute, harp = (chance.random(count) < share for share in (0.5, 0.3, 0.4))
        captions = [
            "with " + " and ".join(name for name, has in (("piano", p), ("flute", f), ("harp", h)) if has)
            for p, f, h in zip(piano, flute, harp, strict=True)
        ]
        heard = np.stack([piano, flute, 0 * harp], 1) + 0.3 * chance.standard_normal((count, 3))
        sets[split], features[split] = MusicSet(split, pieces(captions), {}), heard
    found = script.fit_kind("instruments", features, sets, 0.03, 0.7)
    assert found.names == ["piano", "flute"]
    assert found.map.weight.shape == (2, 3)
    assert min(*found.areas["val"], *found.areas["unseen"]) > 0.9
    said = capsys.readouterr().out
    assert next(line for line in said.splitlines() if line.startswith("harp")).endswith("left out")
    whole = script.fit_kind("instruments", features, sets, 1e6, 0.0).map
    assert whole.bias == pytest.approx(0, abs=1e-3), "a map that has learned nothing says nothing, of common names too"
    with pytest.raises(ValueError, match="genres: expected two names or more with 8 songs each, got 0"):
        script.fit_kind("genres", features, sets, 0.03, 0.7)
