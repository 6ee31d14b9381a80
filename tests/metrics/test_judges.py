"""What metrics say of sets whose figures are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from musegen.metrics.base import MusicSet, Sets
from musegen.metrics.caption_tags import found_first, ordered
from musegen.metrics.clipping import Clipping
from musegen.metrics.diversity import Diversity, nearby
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.frechet import FrechetDistance
from musegen.metrics.genre import GenreAgreement
from musegen.metrics.hearing.base import Feature
from musegen.metrics.instruments import InstrumentAgreement
from musegen.metrics.key import KeyAgreement
from musegen.metrics.loudness import Loudness
from musegen.metrics.music import Piece
from musegen.metrics.musicnn.network import TAGS
from musegen.metrics.neighbours import NearestTraining
from musegen.metrics.silence import Silence
from musegen.metrics.similarity import TextSimilarity, found_in
from musegen.metrics.tags import TagAgreement
from musegen.metrics.tempo import TempoAgreement
from musegen.metrics.wanted import wanted_of


def piece(key: str, caption: str, prompted: bool = True) -> Piece:
    return Piece(key, caption, wanted_of(caption), lambda: b"", (caption,), prompted)


def music(captions: list[str], heard: dict[Feature, list[dict[str, Any]]], prompted: bool = True) -> MusicSet:
    """A set in which this was heard."""
    pieces = [piece(str(number), caption, prompted) for number, caption in enumerate(captions)]
    arrays = {
        feature.identity: [{name: np.asarray(value) for name, value in one.items()} for one in rows]
        for feature, rows in heard.items()
    }
    return MusicSet(f"made of {captions[0]}", pieces, arrays)


class Plain(AudioEmbedder):
    """Words are axes: a text's vector counts them."""

    title, sample_rate, window_seconds = "plain", 8000, 1.0
    words = ("red", "green", "blue")

    def load(self) -> Any:
        return object()

    def embed(self, network: Any, windows: Any) -> Any:
        return windows[:, :3]

    def embed_text(self, captions: Any) -> Any:
        import torch

        return torch.tensor([[float(word in caption) for word in self.words] for caption in captions])


def test_tempo_levels() -> None:
    metric = TempoAgreement()
    captions = ["at 100 bpm", "at 100 bpm", "at 100 bpm", "at 60 bpm", "no tempo", "at 100 bpm"]
    heard = [{"tempo": tempo} for tempo in (103.9, 200.0, 104.5, 180.0, 90.0, math.nan)]
    exact, any_level = metric.measure(Sets(music(captions, {metric.heard: heard})))
    assert exact.ours is not None
    assert any_level.ours is not None
    assert (exact.ours.value, exact.ours.count) == (0.2, 5)
    assert any_level.ours.value == pytest.approx(0.6)
    assert exact.ceiling is None
    assert exact.chance is not None
    assert exact.chance.value < 0.2


def test_the_ceiling_is_real_music_and_chance_is_other_captions() -> None:
    metric = KeyAgreement()
    keys = ["C major", "D minor", "E major", "F# minor"] * 5
    asked = {"C major": 0, "D minor": 14, "E major": 4, "F# minor": 18}
    right = [{"key": asked[key], "chroma": np.zeros(12)} for key in keys]
    half = [{"key": asked[key] if n % 2 else 11, "chroma": np.zeros(12)} for n, key in enumerate(keys)]
    captions = [f"in {key}" for key in keys]
    real = music(captions, {metric.heard: right}, prompted=False)
    figures = metric.measure(Sets(music(captions, {metric.heard: half}), truth=real))
    exact = next(figure for figure in figures if figure.name == "key")
    assert exact.ours is not None
    assert exact.ceiling is not None
    assert exact.chance is not None
    assert (exact.ours.value, exact.ceiling.value, exact.of_ceiling) == (0.5, 1.0, 0.5)
    assert exact.chance.value < 0.3
    assert exact.ours.high - exact.ours.low > 0.5, "samples of one prompt are drawn together"


def test_relations_of_keys_are_counted() -> None:
    metric = KeyAgreement()
    heard = [{"key": key, "chroma": np.zeros(12)} for key in (0, 21, 7, 12, -1)]
    scores = {
        f.name: f.ours.value for f in metric.measure(Sets(music(["C major"] * 5, {metric.heard: heard}))) if f.ours
    }
    assert scores == pytest.approx({"key": 0.2, "key or relative": 0.4, "key or fifth": 0.4, "mode": 0.4})


def test_a_figure_that_no_caption_speaks_of_says_so() -> None:
    metric = TempoAgreement()
    figures = metric.measure(Sets(music(["music"], {metric.heard: [{"tempo": 100.0}]})))
    assert all(figure.ours is None and "no caption" in figure.note for figure in figures)


def tagged(metric: Any, dataset: str, **levels: float) -> dict[str, Any]:
    logits = np.zeros((2, 50))
    for name, level in levels.items():
        logits[:, TAGS[dataset].index(name)] = level  # type: ignore[index]
    return {"logits": logits, "windows": np.zeros((2, 200))}


def test_named_instruments_are_heard_more() -> None:
    metric = InstrumentAgreement()
    assert list(metric.taggers) == ["MTT"], "no network is run in vain"
    captions = ["with piano", "with flute", "with piano", "with accordion"]
    rows = [tagged(metric, "MTT", piano=3.0), tagged(metric, "MTT", flute=3.0), tagged(metric, "MTT", flute=2.0)]
    (figure,) = metric.measure(Sets(music(captions, {metric.taggers["MTT"]: [*rows, tagged(metric, "MTT")]})))
    assert figure.ours is not None
    assert figure.ours.count == 3
    known = len(metric.tags)
    wrong = 0.5 * (known - 2) / (known - 1)  # below the flute, level with the rest: the piano's mean is not the others'
    assert figure.ours.value == pytest.approx((1 + 1 + wrong) / 3, abs=0.35)
    assert figure.chance is not None
    assert figure.chance.value < figure.ours.value


def test_the_strongest_genre_is_the_named_one() -> None:
    metric = GenreAgreement()
    captions = ["slow jazz", "fast rock", "slow jazz", "bossa nova"]
    msd = [tagged(metric, "MSD", jazz=3.0), tagged(metric, "MSD", rock=3.0), tagged(metric, "MSD", rock=3.0)]
    heard = {metric.taggers["MSD"]: [*msd, tagged(metric, "MSD")], metric.taggers["MTT"]: [tagged(metric, "MTT")] * 4}
    first, order = metric.measure(Sets(music(captions, heard)))
    assert first.ours is not None
    assert order.ours is not None
    assert (first.ours.value, first.ours.count) == (pytest.approx(2 / 3), 3)


def test_order_and_first_place() -> None:
    heard = np.array([[3.0, 1.0, 2.0], [0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    asked = np.array([[True, False, False], [False, True, False], [False, False, False]])
    assert ordered(heard, asked)[:2].tolist() == [1.0, 0.5]
    assert math.isnan(ordered(heard, asked)[2])
    assert found_first(heard, asked)[:2].tolist() == [1.0, 0.0]


def test_tags_are_compared_with_the_real_piece_of_the_caption() -> None:
    metric = TagAgreement()
    chance = np.random.Generator(np.random.Philox(5))
    logits = chance.standard_normal((6, 1, 50)).repeat(4, 1) + 0.01 * chance.standard_normal((6, 4, 50))
    captions = [f"piece {number}" for number in range(6)]
    rows = [{"logits": row} for row in logits]
    both = dict.fromkeys(metric.taggers, rows)
    (figure,) = metric.measure(Sets(music(captions, both), reference=music(captions, both, prompted=False)))
    assert figure.ours is not None
    assert figure.ceiling is not None
    assert figure.chance is not None
    assert figure.ours.value == pytest.approx(1)
    assert figure.ceiling.value > 0.95
    assert abs(figure.chance.value) < 0.5
    some = [caption if number < 3 else "other" for number, caption in enumerate(captions)]
    (half,) = metric.measure(Sets(music(captions, both), reference=music(some, both, prompted=False)))
    assert half.chance is not None
    assert half.chance.value < 0.5, "where a dealt caption has no real piece, the clip's own does not stand in for it"
    (nothing,) = metric.measure(Sets(music(captions, both), reference=music(["other"] * 6, both, prompted=False)))
    assert nothing.ours is None


def windows(vectors: np.ndarray) -> list[dict[str, Any]]:
    return [{"windows": one} for one in vectors]


def test_many_clips_of_one_prompt_say_little_more_than_one() -> None:
    """Prompts and pieces of one distribution: endless music is at distance 0, though every prompt has four clips."""
    embedder, prompts, limits = Plain(), 40, []
    for seed in range(12):
        chance = np.random.Generator(np.random.Philox(seed))
        told = chance.standard_normal((prompts, 1, 1, 3)) + 0.01 * chance.standard_normal((prompts, 4, 1, 3))
        captions = [f"prompt {number // 4}" for number in range(4 * prompts)]
        ours = music(captions, {embedder: windows(told.reshape(-1, 1, 3))})
        pieces = windows(chance.standard_normal((400, 1, 3)))
        real = music([f"piece {number}" for number in range(400)], {embedder: pieces}, prompted=False)
        plain, limit = FrechetDistance(embedder).measure(Sets(ours, reference=real))
        assert plain.ours is not None
        assert limit.ours is not None
        assert plain.ours.count == limit.ours.count == 4 * prompts
        limits.append((limit.ours.value, plain.ours.value))
    found, biased = np.mean(limits, 0)
    assert abs(found) < 0.4 * biased, "drawn by clips, it is three quarters of that"


def test_the_mean_answer_has_no_diversity() -> None:
    embedder = Plain()
    chance = np.random.Generator(np.random.Philox(2))
    real = music(["a"] * 40, {embedder: windows(chance.standard_normal((40, 3, 3)))}, prompted=False)
    same = np.repeat(chance.standard_normal((5, 1, 3)), 4, 0)
    captions = [f"prompt {number // 4}" for number in range(20)]
    (mean,) = Diversity(embedder).measure(Sets(music(captions, {embedder: windows(same)}), truth=real))
    many = chance.standard_normal((20, 1, 3))
    (varied,) = Diversity(embedder).measure(Sets(music(captions, {embedder: windows(many)}), truth=real))
    assert mean.ours is not None
    assert varied.ours is not None
    assert varied.ceiling is not None
    assert mean.ours.value == pytest.approx(0, abs=1e-9)
    assert varied.ours.value == pytest.approx(1, abs=0.4)
    assert varied.ceiling.value == pytest.approx(1, abs=0.2)
    assert math.isnan(nearby(np.eye(2), ["a", "b"])[0])


def test_copies_are_near() -> None:
    embedder = Plain()
    chance = np.random.Generator(np.random.Philox(4))
    learned = chance.standard_normal((200, 2, 3))
    training = music(["t"] * 200, {embedder: windows(learned)}, prompted=False)
    real = music(["r"] * 50, {embedder: windows(chance.standard_normal((50, 2, 3)))}, prompted=False)
    copied = music(["c"] * 10, {embedder: windows(learned[:10])})
    near, share = NearestTraining(embedder).measure(Sets(copied, truth=real, training=training))
    assert near.ours is not None
    assert near.ceiling is not None
    assert share.ours is not None
    assert near.ours.value == pytest.approx(0, abs=1e-6)
    assert near.ceiling.value > 1e-3
    assert share.ours.value == 1.0
    (nothing,) = NearestTraining(embedder).measure(Sets(copied, truth=real))
    assert nothing.ours is None


def test_frechet_needs_a_reference_and_advises_more_windows() -> None:
    embedder = Plain()
    chance = np.random.Generator(np.random.Philox(6))
    ours = music(["x"] * 20, {embedder: windows(chance.standard_normal((20, 3, 3)) + 1)}, prompted=False)
    real = music(["y"] * 30, {embedder: windows(chance.standard_normal((30, 3, 3)))}, prompted=False)
    metric = FrechetDistance(embedder)
    (nothing,) = metric.measure(Sets(ours))
    assert "needs --reference" in nothing.note
    plain, limit = metric.measure(Sets(ours, reference=real))
    assert plain.ours is not None
    assert limit.ours is not None
    assert plain.ceiling is not None
    assert plain.chance is not None
    assert plain.ours.value == pytest.approx(3, abs=1.2)
    assert limit.ours.value < plain.ours.value
    assert plain.ceiling.value < 1
    assert "2000 a side" in plain.note


def test_captions_are_found_by_their_clips() -> None:
    embedder = Plain()
    captions = ["red", "green", "blue", "red"]
    axes = np.eye(3)[[0, 1, 1, 0]]
    metric = TextSimilarity(embedder)
    figures = metric.measure(Sets(music(captions, {embedder: windows(axes[:, None])})))
    similarity, top1 = figures
    assert similarity.ours is not None
    assert similarity.chance is not None
    assert top1.ours is not None
    assert top1.chance is not None
    assert similarity.ours.value == pytest.approx(0.75)
    assert similarity.chance.value == pytest.approx(0.125)
    assert top1.ours.value == pytest.approx(0.75)
    assert top1.chance.value == pytest.approx(1 / 3)
    (skipped,) = metric.measure(Sets(music(["red"], {embedder: windows(axes[:1, None])})))
    assert skipped.ours is None
    assert skipped.note == "needs two captions or more"


def test_equal_similarities_share_the_place() -> None:
    table = np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 2.0, 3.0]])
    assert found_in(table, np.array([0, 3]), 1).tolist() == [0.25, 1.0]
    assert found_in(table, np.array([2, 2]), 2).tolist() == [0.5, 1.0]


def test_levels_are_shares_of_clips() -> None:
    heard = [
        {"loudness": -20.0, "clipped": 0.0, "silent": 0.0, "peak": 0.5},
        {"loudness": -16.0, "clipped": 0.01, "silent": 0.1, "peak": 1.0},
        {"loudness": -math.inf, "clipped": 0.0, "silent": 1.0, "peak": 0.0},
        {"loudness": math.nan, "clipped": 0.0, "silent": 0.0, "peak": 0.1},
    ]
    found = {}
    for metric in (Loudness(), Clipping(), Silence()):
        clips = music(["a", "b", "c", "d"], {metric.level: heard})
        found |= {figure.name: figure.ours.value for figure in metric.measure(Sets(clips)) if figure.ours}
    assert found["loudness, LUFS"] == -18
    assert found["loudness, distance"] == 2
    assert found["clipped"] == found["silent"] == 0.25
    assert found["silent frames"] == pytest.approx(0.275)
