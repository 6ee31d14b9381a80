"""Judges of instruments and genres that were fitted: on made features whose names are known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from musegen.metrics.base import MusicSet, Sets
from musegen.metrics.fitted_genre import FittedGenre
from musegen.metrics.fitted_instruments import FittedInstruments, found
from musegen.metrics.fitted_tags import described, ears
from musegen.metrics.logistic import Logistic
from musegen.metrics.music import Piece
from musegen.metrics.musicnn.network import POOLED
from musegen.metrics.tag_maps import TagMap, read_maps, write_maps
from musegen.metrics.wanted import wanted_of

READ = 2 * POOLED + 180
NAMES = {"instruments": ["piano", "flute", "drums"], "genres": ["jazz", "rock"]}


def one_map(kind: str) -> TagMap:
    """A map whose names are heard by filters 0, 1, 2 of the first network."""
    names = NAMES[kind]
    logistic = Logistic(np.zeros(READ), np.ones(READ), np.eye(len(names), READ), np.zeros(len(names)))
    areas = {"val": [0.9, 0.8, 0.7][: len(names)], "unseen": [0.6, math.nan, 0.8][: len(names)]}
    return TagMap(names, logistic, areas)


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    path = tmp_path / "maps.safetensors"
    write_maps(path, {kind: one_map(kind) for kind in NAMES}, {"songs": 3})
    return path


def clips(captions: list[str], levels: list[list[float]], prompted: bool = True) -> MusicSet:
    """Clips that the first filters of the first network respond to so much."""
    pooled = np.zeros((len(captions), POOLED))
    pooled[:, : len(levels[0])] = levels
    pieces = [Piece(str(n), text, wanted_of(text), bytes, (text,), prompted) for n, text in enumerate(captions)]
    first, second, groove = ears()
    heard = {
        first.identity: [{"pooled": one} for one in pooled],
        second.identity: [{"pooled": 0 * one + 5} for one in pooled],
        groove.identity: [{"groove": np.full((3, 60), 7.0)} for one in pooled],
    }
    return MusicSet("clips", pieces, heard)


def test_maps_are_read_as_they_were_written(tmp_path: Path) -> None:
    chance = np.random.Generator(np.random.Philox(1))
    one = Logistic(*(chance.standard_normal(shape) for shape in ((5,), (5,), (3, 5), (3,))))
    path = tmp_path / "maps.safetensors"
    for kept in (one_map("instruments"), TagMap(NAMES["instruments"], one, {"val": [0.5, 0.25, math.nan]})):
        write_maps(path, {"instruments": kept, "genres": one_map("genres")}, {})
        again = read_maps(path)["instruments"]
        assert list(again.names) == NAMES["instruments"]
        for part in ("mean", "std", "weight", "bias"):
            assert getattr(again.map, part) == pytest.approx(getattr(kept.map, part), rel=1e-3)
        assert set(again.areas) == set(kept.areas)
        for split, areas in kept.areas.items():
            assert again.areas[split] == pytest.approx(areas, nan_ok=True)
            assert again.area(split) == pytest.approx(np.nanmean(areas))


def test_what_are_no_maps(tmp_path: Path) -> None:
    path = tmp_path / "maps.safetensors"
    with pytest.raises(ValueError, match=r"expected a safetensors file, got none at .*maps\.safetensors$"):
        FittedGenre(str(path))
    path.write_bytes(b"PK\x03\x04 not at all")
    with pytest.raises(ValueError, match="expected a safetensors file, got a zip archive"):
        FittedGenre(str(path))
    save_file({"bias": torch.zeros(2)}, path, metadata={"musegen": '{"genres": {}, "moods": {}}'})
    with pytest.raises(ValueError, match="expected maps of instruments and genres, got genres, moods"):
        FittedGenre(str(path))


def test_the_filters_of_both_networks_and_the_groove_are_read() -> None:
    vectors = described(clips(["a", "b"], [[1.0, 2.0], [3.0, 4.0]]), ears())
    assert vectors.shape == (2, READ)
    assert vectors[:, :3].tolist() == [[1, 2, 0], [3, 4, 0]]
    assert (vectors[:, POOLED : 2 * POOLED] == 5).all()
    assert (vectors[:, 2 * POOLED :] == 7).all()


def test_named_instruments_are_among_the_strongest(maps: Path) -> None:
    metric = FittedInstruments(str(maps))
    captions = ["with piano", "with flute and drums", "with piano and flute", "with tuba"]
    levels = [[9.0, 0.0, 0.0], [0.0, 5.0, 8.0], [8.0, 0.0, 5.0], [1.0, 1.0, 1.0]]
    order, share = metric.measure(Sets(clips(captions, levels)))
    assert share.name == "instruments, found (fitted)"
    assert order.name == "instruments (fitted)"
    assert share.ours is not None
    assert order.ours is not None
    assert share.ours.count == order.ours.count == 3, "no judge of tubas"
    assert share.ours.value == pytest.approx((1 + 1 + 0.5) / 3)
    assert order.ours.value == pytest.approx((1 + 1 + 0.5) / 3)
    assert order.chance is not None
    assert order.chance.value < order.ours.value
    assert "AUC 0.80 on the held-out songs that chose its names, 0.70 on styles never seen" in order.note


def test_the_strongest_genre_is_a_named_one(maps: Path) -> None:
    metric = FittedGenre(str(maps))
    captions = ["slow jazz", "fast rock", "loud rock", "a march"]
    levels = [[5.0, 0.0], [0.0, 5.0], [4.0, 3.0], [0.0, 0.0]]
    real = clips(["jazz", "rock"], [[9.0, 1.0], [1.0, 9.0]], prompted=False)
    order, first = metric.measure(Sets(clips(captions, levels), truth=real))
    assert first.ours is not None
    assert (first.ours.value, first.ours.count) == (pytest.approx(2 / 3), 3)
    assert first.ceiling is not None
    assert first.ceiling.value == 1
    assert order.ours is not None
    assert order.ours.value == pytest.approx(2 / 3)
    assert "AUC 0.85 on the held-out songs that chose its names, 0.60 on styles never seen" in order.note


def test_a_clip_is_heard_alike_in_any_company(maps: Path) -> None:
    metric = FittedGenre(str(maps))
    both = metric.heard_names(clips(["jazz", "rock"], [[9.0, 5.0], [1.0, 2.0]]))
    assert both.tolist() == [[9.0, 5.0], [1.0, 2.0]]
    assert metric.heard_names(clips(["jazz"], [[9.0, 5.0]])).tolist() == both[:1].tolist()


def test_of_as_many_as_are_named() -> None:
    heard = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    asked = np.array([[True, True, False], [True, False, True], [True, False, False], [False, False, False]])
    assert found(heard, asked)[:3].tolist() == [1.0, 0.5, 0.0]
    assert math.isnan(found(heard, asked)[3])
