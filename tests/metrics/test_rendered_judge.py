"""The judge of music and words: what it is told, and that it hears the same by its parts as alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import randomise
from musegen.cli import main
from musegen.commands.render import render
from musegen.conditioning.spectral import SpectralEmbedder
from musegen.metrics.base import MusicSet, Sets
from musegen.metrics.embedders.joint import FromConditioning
from musegen.metrics.embedders.rendered_judge import SHIPPED, RenderedJudge
from musegen.metrics.evaluation import standard_metrics
from musegen.metrics.hearing.base import Sound
from musegen.metrics.joint_numbers import HEARD, SAID, said_numbers, tempo_numbers
from musegen.metrics.music import Piece
from musegen.metrics.similarity import TextSimilarity
from musegen.metrics.two_towers import TwoTowers, write_towers
from musegen.metrics.wanted import wanted_of
from music_made import RATE, chords, clicks
from musicnn_weights import published
from refusal import refusal
from renderer import need_renderer


def need_musicnn() -> None:
    """Skip a test, or fail it where everything is required, unless both networks are there."""
    published("MSD")
    published("MTT")


def sound(tempo: float, tonic: int) -> Sound:
    """Eight seconds of chords over clicks."""
    samples = 0.5 * (clicks(tempo, 8) + chords(tonic, "major", 8))
    return Sound(torch.from_numpy(samples.astype(np.float32))[None], RATE)


@pytest.fixture
def weights(tmp_path: Path) -> str:
    towers = randomise(TwoTowers(HEARD, 384, SAID, 16, 32))
    assert isinstance(towers, TwoTowers)
    write_towers(tmp_path / "towers.safetensors", towers, {"worth": "finds nothing"})
    return str(tmp_path / "towers.safetensors")


def test_figures_are_read_out_of_captions() -> None:
    full, spoken = said_numbers("a waltz at 92 bpm in Eb minor"), said_numbers("E flat minor, 92 beats per minute")
    assert full.shape == (SAID,)
    assert (full == spoken).all()
    assert not said_numbers("a waltz").any()
    assert 0 < np.abs(full - said_numbers("a waltz at 93 bpm in Eb minor")).max() < 0.5


def test_octaves_of_a_tempo_share_a_place_on_the_circle() -> None:
    (slow, around), (fast, again) = tempo_numbers(75), tempo_numbers(150)
    assert again == pytest.approx(around)
    assert np.abs(slow - fast).max() > 0.8
    assert not np.concatenate(tempo_numbers(float("nan"))).any()


def test_the_whole_is_heard_by_its_parts(weights: str) -> None:
    need_musicnn()
    judge, clip = RenderedJudge(weights), sound(120, 3)
    alone = judge.clip_vector(judge.hear(clip))
    by_parts = judge.clip_vector(judge.gathered(*(part.hear(clip) for part in judge.parts)))
    assert alone == pytest.approx(by_parts, abs=1e-6)
    assert np.linalg.norm(alone) == pytest.approx(1)
    windows = judge.embed(judge.network, torch.stack([clip.mono(RATE), sound(80, 5).mono(RATE)]))
    assert windows.shape == (2, 16)
    assert not torch.allclose(windows[0], windows[1], atol=1e-2)


def test_silence_is_heard_as_something_finite(weights: str) -> None:
    need_musicnn()
    judge = RenderedJudge(weights)
    assert np.isfinite(judge.clip_vector(judge.hear(Sound(torch.zeros(1, 100), RATE)))).all()


def test_captions_are_read_alone(weights: str) -> None:
    judge, captions = RenderedJudge(weights), ["a slow waltz in D minor at 90 bpm", "techno"]
    assert torch.equal(judge.embed_text(captions)[1:], judge.embed_text(captions[1:]))
    assert judge.embed_text(captions).norm(dim=1).tolist() == pytest.approx([1.0, 1.0], abs=1e-5)


def test_similarity_asks_for_the_parts_and_says_what_they_are_worth(weights: str) -> None:
    need_musicnn()
    judge = RenderedJudge(weights)
    metric = TextSimilarity(judge)
    assert [part.identity for part in metric.features()] == [part.identity for part in judge.parts]
    captions = ["a waltz at 120 bpm", "techno at 80 bpm"]
    pieces = [Piece(text, text, wanted_of(text), bytes, (text,), True) for text in captions]
    clips = [sound(120, 3), sound(80, 5)]
    heard = {part.identity: [part.hear(clip) for clip in clips] for part in judge.parts}
    similarity, first = metric.measure(Sets(MusicSet("clips", pieces, heard)))
    assert similarity.note == "cosine of clip and caption; finds nothing"
    assert similarity.ours is not None
    texts = judge.embed_text(captions).numpy()
    expected = [float(judge.clip_vector(judge.hear(clip)) @ text) for clip, text in zip(clips, texts, strict=True)]
    assert similarity.ours.value == pytest.approx(np.mean(expected), abs=1e-5)
    assert first.name == "retrieval top-1 (rendered judge)"


def test_other_weights_are_another_judge(weights: str, tmp_path: Path) -> None:
    towers = randomise(TwoTowers(HEARD, 384, SAID, 16, 32), seed=5)
    assert isinstance(towers, TwoTowers)
    write_towers(tmp_path / "others.safetensors", towers, {})
    before, after = RenderedJudge(weights), RenderedJudge(str(tmp_path / "others.safetensors"))
    assert before.identity != after.identity
    assert before.revision != after.revision


def test_towers_for_other_numbers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "towers.safetensors"
    write_towers(path, TwoTowers(7, 384, SAID, 4, 4), {})
    with pytest.raises(ValueError, match=rf"expected towers for {HEARD} and {SAID} numbers, got 7 and {SAID}; fit"):
        RenderedJudge(str(path))


@pytest.fixture(scope="module")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen held-out songs, as shards with captions."""
    need_renderer()
    need_musicnn()
    folder = tmp_path_factory.mktemp("renders") / "songs"
    render(folder, 12, seed=4242, seconds=6, split="val")
    return folder


def test_real_music_finds_its_captions_by_the_shipped_judge(
    renders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    main(["evaluate", str(renders), "--metrics", "similarity", "--out", str(out), "--cache", "null", "--workers", "1"])
    (judged,) = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))["judged"]
    figures = {figure["name"]: figure for figure in judged["figures"]}
    first = figures["retrieval top-1 (rendered judge)"]
    assert first["ours"]["count"] >= 10
    assert first["ours"]["value"] > 4 * first["chance"]["value"]
    assert figures["retrieval top-10 (rendered judge)"]["ours"]["value"] > 0.9
    similarity = figures["similarity (rendered judge)"]
    assert similarity["ours"]["value"] > similarity["chance"]["value"] + 0.3
    assert re.search(r"own top-10: 0?\.\d+ of \d+ held-out songs", similarity["note"])
    assert "similarity (rendered judge)" in capsys.readouterr().out


def test_it_judges_unless_another_is_named() -> None:
    (metric,) = [one for one in standard_metrics() if isinstance(one, TextSimilarity)]
    assert isinstance(metric.embedder, RenderedJudge)
    other = FromConditioning(SpectralEmbedder())
    (metric,) = [one for one in standard_metrics(joint=other) if isinstance(one, TextSimilarity)]
    assert metric.embedder is other


def test_the_shipped_judge_is_small_and_tells_styles_apart() -> None:
    assert SHIPPED.stat().st_size < 1 << 20
    texts = RenderedJudge().embed_text(
        ["a fast polka in C major", "a quick polka, C major", "a slow bossa nova in F minor"]
    )
    assert texts.shape == (3, 128)
    assert texts[0] @ texts[1] > texts[0] @ texts[2] + 0.3


def test_weights_that_are_none_are_named_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "page.safetensors").write_text("<html>")
    path = "musegen.metrics.embedders.rendered_judge.RenderedJudge"
    recipe = json.dumps({"class_path": path, "init_args": {"weights": str(tmp_path / "page.safetensors")}})
    said = refusal(tmp_path, capsys, monkeypatch)("evaluate", tmp_path / "clips", "--joint", recipe)
    assert "page.safetensors: expected a safetensors file, got a web page" in said
