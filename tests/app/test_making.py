"""What the pages do, without a browser: plain functions over the pipeline and the library."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import muse
import tiny
from musegen.app.store.record import Record
from musegen.app.store.search import Query
from musegen.app.work import lab, making, mapping, shelf
from musegen.app.work.job import CancelledError, Job
from musegen.app.work.uploads import Upload
from musegen.app.work.wishes import Style, choose_seeds
from musegen.app.work.workshop import Workshop
from musegen.fingerprint import hash_tensor
from musegen.generation.clip import read_clip

STYLE = Style(seconds=0.5, steps=2, text_steps=2)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return muse.workshop(tmp_path / "library")


def make(workshop: Workshop, prompt: str = "a slow waltz", count: int = 1, style: Style = STYLE) -> list[Record]:
    return list(making.of_text(workshop, prompt, range(count), style, Job()))


def upload() -> Upload:
    wave = torch.sin(torch.arange(tiny.RATE) * 0.2)[None]
    return Upload(0.5 * wave, tiny.RATE, "my tune")


def test_clips_are_those_of_the_pipeline_and_are_made_again_bit_for_bit(workshop: Workshop) -> None:
    job = Job()
    made = list(making.of_text(workshop, "a slow waltz", [7, 3], STYLE, job))
    assert (job.done, job.total, job.share) == (2, 2, 1.0)
    alone = workshop.pipeline.generate("a slow waltz", 3, seconds=0.5, steps=2, stage1_steps=2)[0]
    assert made[1].audio_sha256 == hash_tensor(alone.audio)
    assert made[1].seed == 3
    assert made[1].closeness == pytest.approx(float(workshop.ears.listen(alone.audio, tiny.RATE) @ _mean(workshop)))
    assert workshop.library.find(Query(shelf="takes", order="oldest")) == made
    described = read_clip(workshop.library.json_path(made[1].id))
    assert described["audio_sha256"] == made[1].audio_sha256
    assert shelf.make_again(workshop, made[1].id, Job()).startswith("Made again, bit for bit")


def _mean(workshop: Workshop) -> torch.Tensor:
    mean = workshop.pipeline.embed("a slow waltz", range(8), stage1_steps=8).mean(0)
    return mean / mean.norm()


def test_another_fingerprint_is_named(workshop: Workshop) -> None:
    (made,) = make(workshop)
    path = workshop.library.json_path(made.id)
    said = json.loads(path.read_text())
    said["fingerprint"]["torch"], said["audio_sha256"] = "1.0", "0" * 64
    path.write_text(json.dumps(said))
    answer = shelf.make_again(workshop, made.id, Job())
    assert answer.startswith("The bits differ. torch: 1.0 then, ")
    workshop.library.audio_path(made.id).write_bytes(b"something else")
    assert "not what was saved" in shelf.make_again(workshop, made.id, Job())


def test_cancelling_keeps_what_is_finished(workshop: Workshop) -> None:
    job = Job()
    clips = making.of_text(workshop, "a slow waltz", range(5), STYLE, job)
    first = next(clips)
    job.cancel()
    with pytest.raises(CancelledError):
        next(clips)
    assert [record.id for record in workshop.library.find(Query(shelf="takes"))] == [first.id]
    assert make(workshop), "the model is free again"


def test_variations_lie_around_their_parent(workshop: Workshop) -> None:
    (parent,) = make(workshop)
    made = list(making.like(workshop, parent.id, [1, 2], 0.2, STYLE, Job()))
    centre = workshop.embedding(parent.id)
    angles = [float(torch.arccos(workshop.embedding(each.id) @ centre)) for each in made]
    assert angles == pytest.approx([0.2 * np.pi / 2] * 2, abs=1e-3)
    assert [each.lineage.parents for each in made] == [(parent.id,)] * 2
    assert {each.id for each in workshop.library.children(parent.id)} == {each.id for each in made}
    assert shelf.make_again(workshop, made[0].id, Job()).startswith("Made again, bit for bit")


def test_a_clip_to_begin_with_is_heard_in_what_comes_of_it(workshop: Workshop) -> None:
    (parent,) = make(workshop)
    little, much = (
        make(workshop, "x", 1, Style(0.5, steps=8, start=parent.id, strength=strength))[0] for strength in (0.1, 0.9)
    )
    start = workshop.library.described(little.id)["settings"]["start"]
    assert start["strength"] == 0.1
    assert little.lineage.parents == (parent.id,)
    assert little.audio_sha256 != much.audio_sha256
    assert shelf.make_again(workshop, little.id, Job()).startswith("Made again, bit for bit")


def test_from_a_sound_and_from_a_mix(workshop: Workshop) -> None:
    heard = workshop.ears.listen(upload().audio, upload().rate)
    (alone,) = making.of_sound(workshop, upload(), "", 0.5, [1], STYLE, Job())
    torch.testing.assert_close(workshop.embedding(alone.id), heard)
    assert alone.title == "like my tune"
    (unsaid,) = making.of_sound(workshop, upload(), "a slow waltz", 1.0, [1], STYLE, Job())
    assert (unsaid.title, unsaid.prompt) == ("like my tune", ""), "words that said nothing are not told of"
    assert unsaid.audio_sha256 == alone.audio_sha256
    (mixed,) = making.of_sound(workshop, upload(), "a slow waltz", 0.5, [1], STYLE, Job())
    said = workshop.pipeline.embed("a slow waltz", 1, stage1_steps=2)[0]
    point = workshop.embedding(mixed.id)
    assert float(point @ heard) == pytest.approx(float(point @ said), abs=1e-4), "half way"


def test_a_model_that_names_no_embedder_says_so(tmp_path: Path) -> None:
    workshop = muse.workshop(tmp_path, fits=False)
    (made,) = make(workshop)
    assert made.closeness is None
    with pytest.raises(ValueError, match="--embedder"):
        list(making.of_sound(workshop, upload(), "", 1.0, [1], STYLE, Job()))
    with pytest.raises(ValueError, match="--embedder"):
        list(making.like(workshop, made.id, [1], 0.1, STYLE, Job()))


@pytest.mark.parametrize(
    ("how", "fixed", "last", "count", "expected"),
    [("fixed", "7", [], 3, [7, 8, 9]), ("same again", "7", [4, 2], 2, [4, 2]), ("same again", "5", [], 1, [5])],
)
def test_seeds(how: str, fixed: str, last: list[int], count: int, expected: list[int]) -> None:
    assert choose_seeds(how, fixed, last, count) == expected


def test_random_and_wrong_seeds() -> None:
    assert len(set(choose_seeds("random", "", None, 16))) == 16
    assert choose_seeds("same again", "", [4], 2)[0] == 4
    for how, fixed, count in [("fixed", "x", 1), ("fixed", "-1", 1), ("fixed", "9" * 40, 1), ("?", "1", 1)]:
        with pytest.raises(ValueError, match="seed: expected"):
            choose_seeds(how, fixed, None, count)
    for count in (0, 17):
        with pytest.raises(ValueError, match="variations: expected 1 to 16"):
            choose_seeds("fixed", "1", None, count)


@pytest.mark.parametrize(
    ("prompt", "style", "message"),
    [
        (" ", STYLE, "Say what the music"),
        ("x" * 10_001, STYLE, "at most 10000 characters"),
        ("x", Style(seconds=99.0), "seconds: expected"),
        ("x", Style(steps=0), "steps: expected"),
        ("x", Style(sampler="os.system"), "sampler: expected"),
        ("x", Style(guidance=-1.0), "guidance: expected"),
        ("x", Style(start="../../etc/passwd"), "32 hexadecimal"),
    ],
)
def test_wishes_that_cannot_be(workshop: Workshop, prompt: str, style: Style, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(making.of_text(workshop, prompt, [0], style, Job()))
    assert workshop.library.find(Query(shelf="takes")) == []


def test_a_way_between_a_clip_and_a_prompt(workshop: Workshop) -> None:
    (first,) = make(workshop)
    job = Job()
    made = list(lab.interpolate(workshop, first.id, "fast drums", 4, 9, STYLE, job))
    points = torch.stack([workshop.embedding(each.id) for each in made])
    torch.testing.assert_close(points[0], workshop.embedding(first.id))
    torch.testing.assert_close(points[-1], workshop.pipeline.embed("fast drums", 9)[0])
    steps = torch.arccos((points[1:] * points[:-1]).sum(1).clamp(-1, 1))
    torch.testing.assert_close(steps, steps[:1].expand(3), atol=1e-3, rtol=0)
    assert {each.seed for each in made} == {9}
    assert made[1].title == "a slow waltz → fast drums, 2 of 4"
    assert made[1].lineage.parents == (first.id,)


def test_arithmetic_and_neighbours(workshop: Workshop) -> None:
    a, b = make(workshop, "piano")[0], make(workshop, "violin")[0]
    vector, words, parents = lab.calculate(workshop, [a.id, "drums"], [b.id], 3)
    assert words == "piano \N{MINUS SIGN} violin + drums"
    assert parents == (a.id, b.id)
    (made,) = lab.play_sum(workshop, vector, words, parents, 3, STYLE, Job())
    torch.testing.assert_close(workshop.embedding(made.id), vector)
    found = lab.neighbours(workshop, vector, 2)
    assert (found[0].name, found[0].title) == (f"clip:{made.id}", made.title)
    assert found[0].cosine == pytest.approx(1, abs=1e-5)
    assert lab.neighbours(workshop, vector, without=f"clip:{made.id}")[0].name != found[0].name
    with pytest.raises(ValueError, match="at least the first term"):
        lab.calculate(workshop, ["", ""], [a.id], 3)


def test_the_cloud_of_a_prompt_and_the_one_answer_inside_it(workshop: Workshop) -> None:
    job = Job()
    drawn = lab.cloud(workshop, "piano", 20, 5, job)
    assert drawn.vectors.shape == (20, tiny.EMBEDDING)
    assert np.allclose(np.linalg.norm(drawn.vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(drawn.answer, drawn.vectors.mean(0))
    assert not drawn.regression
    assert np.linalg.norm(drawn.answer) < 0.999
    assert job.share == 1
    assert [point.group for point in mapping.gather(workshop, [drawn])[0]] == ["cloud"] * 20
    for wrong in (1, 10_000):
        with pytest.raises(ValueError, match="samples: expected"):
            lab.cloud(workshop, "piano", wrong, 0, Job())


def test_maps_of_few_points(workshop: Workshop) -> None:
    empty = mapping.draw_map(workshop)
    assert (empty.points, empty.places.shape) == ([], (0, 2))
    (made,) = make(workshop)
    for dimensions in (2, 3):
        drawn = mapping.draw_map(workshop, [lab.cloud(workshop, "piano", 3, 0, Job())], dimensions)
        assert drawn.points[0].name == f"clip:{made.id}"
        assert drawn.places.shape == (5, dimensions)
        assert np.isfinite(drawn.places).all()
    assert drawn.points[-1].group == "mean"
    with pytest.raises(ValueError, match="2 or 3"):
        mapping.draw_map(workshop, (), 4)


def test_taking_in_searching_by_sound_and_packing_up(workshop: Workshop) -> None:
    mine = shelf.take_in(workshop, upload())
    made = make(workshop, count=2)
    for each in made:
        workshop.library.keep(each.id)
    assert (mine.kind, mine.title, mine.seed) == ("imported", "my tune", None)
    target = workshop.ears.listen(upload().audio, tiny.RATE)
    found = shelf.alike(workshop, target, Query())
    assert found[0][0].id == mine.id
    assert found[0][1] == pytest.approx(1, abs=1e-4)
    assert len(found) == 3
    assert shelf.alike(workshop, shelf.heard_in(workshop, mine.id), Query(), without=mine.id)[0][0].id != mine.id
    with pytest.raises(ValueError, match="not generated"):
        shelf.make_again(workshop, mine.id, Job())
    workshop.library.rename(made[0].id, "../../up/../and away")
    with zipfile.ZipFile(io.BytesIO(shelf.pack_up(workshop, [mine.id, *(each.id for each in made)]))) as pack:
        names = pack.namelist()
        assert sorted(names) == sorted(
            f"{stem}{end}" for stem in ("my-tune", "up-and-away", "a-slow-waltz") for end in (".flac", ".json")
        )
        said: dict[str, Any] = json.loads(pack.read("a-slow-waltz.json"))
        assert said["audio_sha256"] == made[1].audio_sha256
        assert said["library"]["title"] == "a slow waltz"
    with pytest.raises(ValueError, match="1 to 200"):
        shelf.pack_up(workshop, [])
