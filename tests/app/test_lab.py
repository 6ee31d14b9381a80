"""What the Lab does, without a browser: clouds and the one answer inside them, the corpus, points that are heard."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import muse
import tiny
from musegen.app.acts import lab as acts
from musegen.app.acts.desk import Desk, told
from musegen.app.acts.lab import View, Way
from musegen.app.work import lab, mapping
from musegen.app.work.corpus import read_corpus
from musegen.app.work.job import Job
from musegen.fingerprint import hash_weights

VIEW, WAY = View("what it is", False, []), Way(0.5, 2, "0")


def last(shown: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """All that a page shows in the end."""
    return {name: value for each in shown for name, value in each.items()}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(muse.workshop(tmp_path / "library", corpus=muse.corpus(tmp_path / "corpus"), baseline=True))


def test_the_regressions_answer_is_drawn_where_the_model_has_one(desk: Desk) -> None:
    shown = last(acts.cloud(desk, "me", "a slow waltz", 16, WAY, VIEW))
    (cloud,) = shown["lab.clouds"]
    assert cloud.regression
    model = tiny.regression()
    expected = model.sample(model.condition({"caption": ["a slow waltz"]}), [0])[0]
    assert np.array_equal(cloud.answer, expected.numpy())
    assert "The cross is the answer of the regression model" in shown["lab.map_said"]
    traces = {trace["name"]: trace for trace in json.loads(shown["lab.map"])["data"]}
    assert {name: len(trace["x"]) for name, trace in traces.items()} == {
        "corpus": 7,
        "samples of one prompt": 16,
        "the regression’s answer": 1,  # noqa: RUF001
    }
    assert "the regression’s answer to “a slow waltz”" in traces["the regression’s answer"]["text"][0]  # noqa: RUF001


def test_the_mean_is_drawn_inside_its_cloud_where_the_model_has_no_regression(tmp_path: Path) -> None:
    desk = Desk(muse.workshop(tmp_path))
    shown = last(acts.cloud(desk, "me", "a slow waltz", 8, WAY, VIEW))
    assert "The cross is the mean of the samples, since this model has no regression part" in shown["lab.map_said"]
    drawn = mapping.draw_map(desk.workshop, shown["lab.clouds"])
    assert [point.group for point in drawn.points] == ["cloud"] * 8 + ["mean"]
    assert (drawn.places[:8].min(0) < drawn.places[8]).all()
    assert (drawn.places[8] < drawn.places[:8].max(0)).all()
    again = last(acts.cloud(desk, "me", "drums", 8, WAY, View("prompt", False, shown["lab.clouds"])))
    assert [cloud.prompt for cloud in again["lab.clouds"]] == ["a slow waltz", "drums"]
    again = last(acts.cloud(desk, "me", "drums", 16, WAY, View("prompt", False, again["lab.clouds"])))
    assert [len(cloud.vectors) for cloud in again["lab.clouds"]] == [8, 16], "the same prompt's cloud takes its place"


def test_a_point_of_a_cloud_and_the_answer_are_made_to_sound(desk: Desk) -> None:
    cloud = lab.cloud(desk.workshop, "a slow waltz", 4, 0, Job())
    shown = acts.touch(desk, "cloud:0:2", [cloud])
    assert "sample 3 of “a slow waltz”" in shown["lab.cards"]
    assert 'data-do="hear" data-id="cloud:0:2"' in shown["lab.cards"]
    assert shown["lab.near"].count("<li>") == 7
    for name, vector in (("cloud:0:2", cloud.vectors[2]), ("answer:0", cloud.answer)):
        shown = last(acts.hear(desk, "me", name, WAY, View("genre", True, [cloud])))
        (id,) = shown["lab.shown"]
        torch.testing.assert_close(desk.workshop.embedding(id), torch.from_numpy(vector))
        assert desk.workshop.library.get(id).prompt == "a slow waltz"
        assert "scatter3d" in shown["lab.map"], "the map is drawn with it"
    assert desk.workshop.library.get(id).title == "the regression’s answer to “a slow waltz”"  # noqa: RUF001
    for name in ("cloud:0:4", "cloud:1:0", "answer:1", "mean:0", "cloud:0", ""):
        with pytest.raises(ValueError, match="no longer there"):
            acts.touch(desk, name, [cloud])


def test_the_corpus_is_read_with_what_is_known_of_it(desk: Desk) -> None:
    points = mapping.draw_map(desk.workshop).points
    assert [point.group for point in points] == ["corpus"] * 7
    assert [point.genre for point in points[:2]] == ["polka", "waltz"]
    assert [point.tempo for point in points[:2]] == [60, 80]
    assert [point.key for point in points[:2]] == ["C major", "F♯ minor"]
    assert points[3].title == "a piece 3, and more of it"
    corpus = desk.workshop.corpus
    assert corpus is not None
    assert np.allclose(np.linalg.norm(corpus.vectors, axis=1), 1, atol=1e-5)


def test_a_large_corpus_is_thinned_evenly(tmp_path: Path) -> None:
    folder = muse.corpus(tmp_path)
    assert read_corpus(folder, muse.TinyEars(), most=3).places == [0, 3, 6]


def test_a_piece_is_heard_from_its_audio_or_from_latents_of_the_models_own_codec(tmp_path: Path) -> None:
    own = hash_weights(tiny.vae())
    made = {
        "audio": muse.corpus(tmp_path / "audio", audio=True),
        "latents": muse.corpus(tmp_path / "latents", codec=own),
        "foreign": muse.corpus(tmp_path / "foreign", codec="another"),
        "silent": muse.corpus(tmp_path / "silent"),
    }
    shops = {name: muse.workshop(tmp_path / "library", corpus=folder) for name, folder in made.items()}
    assert {name: shop.plays_corpus for name, shop in shops.items()} == {
        "audio": True,
        "latents": True,
        "foreign": False,
        "silent": False,
    }
    for name in ("audio", "latents"):
        sound, rate = soundfile.read(io.BytesIO(shops[name].piece(3)))
        assert (rate, sound.shape) == (tiny.RATE, (tiny.RATE // 2, 2))
        assert np.abs(sound).max() > 0.01
        assert "muse/corpus/3.flac" in acts.touch(Desk(shops[name]), "corpus:3")["lab.cards"]
        with pytest.raises(ValueError, match="cannot be heard"):
            shops[name].piece(7)
    for name in ("foreign", "silent"):
        with pytest.raises(ValueError, match="cannot be heard"):
            shops[name].piece(3)
        shown = acts.touch(Desk(shops[name]), "corpus:3")["lab.cards"]
        assert "<audio" not in shown
        assert "no latents of this model" in shown


def test_a_piece_of_the_corpus_is_a_point_like_any_other(desk: Desk) -> None:
    corpus = desk.workshop.corpus
    assert corpus is not None
    name = lab.piece_name(3, corpus.titles[3])
    assert name == "corpus:3 a piece 3, and more of it"
    assert acts.send(desk, name, "", "")["lab.first"] == name
    assert acts.send(desk, name, name, "")["lab.second"] == name
    shown = last(acts.between(desk, "me", name, "drums", 2, WAY, VIEW))
    first, _ = shown["lab.shown"]
    torch.testing.assert_close(desk.workshop.embedding(first), torch.from_numpy(corpus.vectors[3]))
    found = lab.neighbours(desk.workshop, torch.from_numpy(corpus.vectors[3]), without=f"clip:{first}")
    assert (found[0].name, round(found[0].cosine, 4)) == ("corpus:3", 1)
    assert acts.touch(desk, f"clip:{first}")["lab.near"].index("corpus:3") > 0
    assert 'data-id="corpus:3"' not in acts.touch(desk, "corpus:3")["lab.near"], "it is no neighbour of itself"
    for wrong in ("corpus:7", "corpus:99999 x"):
        (said,) = told(lambda wrong=wrong: acts.touch(desk, wrong))()
        assert "There is no piece" in said["notice"]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    folder = muse.corpus(tmp_path / "corpus")

    class Others(muse.TinyEars):
        revision = "others-1"

    with pytest.raises(ValueError, match="expected embeddings of others-1, got those of tiny-ears-1"):
        read_corpus(folder, Others())
    with pytest.raises(OSError, match="nowhere"):
        read_corpus(tmp_path / "nowhere", muse.TinyEars())


def test_two_users_clouds_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshop, order = muse.workshop(tmp_path), []
    take = workshop.turns.take

    @contextmanager
    def noted(user: str) -> Iterator[None]:
        with take(user):
            order.append(user)
            yield

    monkeypatch.setattr(workshop.turns, "take", noted)
    with take("first"):
        jobs = [Thread(target=lab.cloud, args=(workshop, "piano", 32, 0, Job(user))) for user in ("a", "b")]
        for job in jobs:
            job.start()
            time.sleep(0.05)
    for job in jobs:
        job.join()
    assert order in (list("abababab"), list("babababa")), "eight samples each, then it is the other's turn"


def test_a_cloud_that_is_cancelled_is_not_drawn(desk: Desk) -> None:
    drawing = acts.cloud(desk, "me", "piano", 256, WAY, VIEW)
    next(drawing)
    assert desk.jobs.cancel("me")
    shown = last(drawing)
    assert "Cancelled" in shown["notice"]
    assert "lab.clouds" not in shown
    assert "lab.map" not in shown


def test_an_empty_map_says_what_to_do(tmp_path: Path) -> None:
    shown = last(acts.draw(Desk(muse.workshop(tmp_path)), VIEW))
    assert shown["lab.map"] == ""
    assert "make some clips, or start the app with --corpus FOLDER" in shown["lab.map_said"]
