"""What pages show: clips, maps and mistakes, with everything that users wrote escaped."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import muse
from little_clips import add
from musegen.app.acts import library as library_acts
from musegen.app.acts import studio as studio_acts
from musegen.app.acts.desk import Desk, told
from musegen.app.store.library import Library
from musegen.app.store.record import Lineage
from musegen.app.view import cards, figure, pictures
from musegen.app.work.mapping import Map, Point

HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'"


def test_what_users_wrote_is_escaped_everywhere(tmp_path: Path) -> None:
    library = Library(tmp_path)
    made = add(library, 1, HOSTILE, lineage=Lineage(HOSTILE, ("a" * 32,), HOSTILE), tags=[HOSTILE[:30]], keep=True)
    library.rename(made.id, HOSTILE)
    record = replace(library.get(made.id), key=HOSTILE, negative=HOSTILE, model=HOSTILE)
    html = "".join(
        [
            cards.studio_cards([record], lambda id: b"\x10", HOSTILE),
            cards.library_cards([record], lambda id: b"\x10", {record.id: 0.5}),
            cards.library_cards([replace(record, deleted=1.0)], lambda id: b"\x10"),
            cards.notice(HOSTILE, "wrong"),
            cards.progress(1, 2, 0.5, HOSTILE),
            library_acts.delete(Desk(muse.workshop(tmp_path)), made.id)["notice"],
        ]
    )
    assert "<script" not in html
    assert "<img src=x" not in html
    for tag in re.findall(r"<[^>]*>", html):
        assert re.sub(r'="[^"]*"', "", tag).count('"') == 0, f"an attribute of {tag} was left"
    drawn = Map([Point("clip:x", "library", HOSTILE, HOSTILE, HOSTILE)], np.zeros((1, 2)), "x")
    assert "<img" not in json.loads(figure.figure(drawn))["data"][0]["text"][0]


def test_the_closest_is_first(tmp_path: Path) -> None:
    library = Library(tmp_path)
    made = [replace(add(library, n), closeness=near) for n, near in enumerate([0.1, 0.9, None])]
    html = cards.studio_cards(made, lambda id: b"\x10", "why")
    assert re.findall(r'data-clip="(\w+)"', html) == [made[1].id, made[0].id, made[2].id]


@pytest.mark.parametrize("colour", figure.WAYS)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_point_is_drawn_once_with_its_name(colour: str, dimensions: int) -> None:
    groups = [*figure.GROUPS] * 8
    points = [
        Point(f"corpus:{n}", group, f"t{n}", f"p{n % 14}", f"genre {n % 12}", 60.0 + n, "C major" if n % 2 else "")
        for n, group in enumerate(groups)
    ]
    places = np.random.default_rng(0).normal(size=(len(points), dimensions))
    said = json.loads(figure.figure(Map(points, places, "x"), colour))
    names = [name for trace in said["data"] for name in trace["customdata"]]
    assert sorted(names) == sorted(point.name for point in points)
    for trace in said["data"]:
        for name, x in zip(trace["customdata"], trace["x"], strict=True):
            assert x == pytest.approx(places[int(name.split(":")[1]), 0], abs=1e-3)
    assert ("z" in said["data"][0]) == (dimensions == 3)


def test_an_unknown_colour_is_refused() -> None:
    with pytest.raises(ValueError, match="colour: expected one of"):
        figure.figure(Map([], np.zeros((0, 2)), "x"), "taste")


def test_waveforms_and_spectrograms_show_the_sound() -> None:
    from io import BytesIO

    from PIL import Image

    rate = 8000
    audio = torch.zeros(2, rate)
    audio[:, rate // 2 :] = 0.5 * torch.sin(torch.arange(rate // 2) * 2 * torch.pi * 1000 / rate)
    high = pictures.peaks(audio)
    assert max(high[: pictures.PEAKS // 2 - 1]) == 0
    assert min(high[pictures.PEAKS // 2 + 1 :]) > 200
    image = np.asarray(Image.open(BytesIO(pictures.mel(audio, rate))).convert("L")).astype(float)
    assert image.shape == (pictures.BANDS, pictures.COLUMNS)
    assert image[:, 300:].mean() > image[:, :200].mean() + 10, "silence is dark, the tone is bright"
    loud = image[:, 400].argmax() / pictures.BANDS
    assert 0.3 < loud < 0.7, "a tone in the middle of the mel scale is in the middle of the picture"


def test_mistakes_are_sentences_and_failures_tell_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    def mistake() -> dict:
        raise ValueError("steps: expected 1 to 250, got 0")

    def failure() -> dict:
        raise RuntimeError("a path: /home/someone")

    (said,) = told(mistake)()
    assert 'role="alert">Steps: expected 1 to 250, got 0.</p>' in said["notice"]
    (said,) = told(failure)()
    assert "/home" not in said["notice"]
    assert "a path" in caplog.text


def test_progress_is_told_while_clips_are_made_and_a_second_job_waits(tmp_path: Path) -> None:
    desk = Desk(muse.workshop(tmp_path))
    form = studio_acts.Form("a waltz", "", 2, 0.5, None, None, 2, 2, "", "fixed", "7", None, 1.0, "", 0.7, [])
    told_so_far = []
    making = studio_acts.generate(desk, "me", form)
    assert next(making) == {"studio.seeds": [7, 8], "studio.seed": "7"}
    assert "progressbar" in next(making)["progress"]
    with pytest.raises(ValueError, match="One thing at a time"):
        list(studio_acts.generate(desk, "me", form))
    told_so_far = list(making)
    assert told_so_far[-1]["progress"] == ""
    assert told_so_far[-1]["studio.cards"].count("<article") == 2
    assert len(told_so_far[-1]["studio.shown"]) == 2
    assert not desk.jobs.cancel("me"), "it is forgotten"


def test_leaving_the_page_cancels_the_job(tmp_path: Path) -> None:
    desk = Desk(muse.workshop(tmp_path))
    form = studio_acts.Form("a waltz", "", 16, 0.5, None, None, 50, 50, "", "fixed", "7", None, 1.0, "", 0.7, [])
    making = studio_acts.generate(desk, "me", form)
    next(making), next(making), next(making)
    making.close()
    assert not desk.jobs.cancel("me")
    assert len(library_acts.SHELVES) == 3
    from musegen.app.store.search import Query

    assert len(desk.workshop.library.find(Query(shelf="takes"))) < 16
