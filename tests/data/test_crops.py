"""Crops and what is true of them: where they begin, what they contain, what is real and what is filled up."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from little_shards import CHANNELS, LATENT_RATE, SAMPLE_RATE, flac, little_sample, unit
from musegen.data.crops import crop_latents, crop_start, embedding_of, read_crop, unpacked
from musegen.data.items import ItemMaker, collate
from musegen.data.sample import Sample
from musegen.flow.noise import hash_seed

LATENTS = ("caption", "embedding", "latents")


def make(sample: Sample, epoch: int = 0, **arguments: Any) -> dict[str, Any]:
    return ItemMaker(**({"fields": LATENTS, "frames": 16, "seed": 3} | arguments))(sample, epoch)


@pytest.mark.parametrize("epoch", range(8))
def test_a_crop_of_latents_begins_where_it_says(epoch: int) -> None:
    item = make(little_sample(4), epoch)  # 8 seconds, 80 frames; frame n holds n
    first = item["latents"][1, 0].item()
    assert item["seconds_start"] == pytest.approx(first / LATENT_RATE)
    assert item["seconds_total"] == 8.0
    torch.testing.assert_close(item["latents"][1], torch.arange(first, first + 16))
    torch.testing.assert_close(item["latents"][0], torch.full((16,), 4.0))
    assert item["mask"].all()


def test_crops_come_from_everywhere() -> None:
    starts = [make(little_sample(4), epoch)["latents"][1, 0].item() for epoch in range(600)]
    counts = np.bincount(np.array(starts, dtype=int), minlength=65)
    assert len(counts) == 65  # 80 - 16 + 1, the last one too
    assert (counts > 0).all()
    assert counts.max() < 30


def test_choices_belong_to_the_item() -> None:
    """The seed is the hash of run seed, epoch and key; crop and caption follow from it."""
    item = make(little_sample(4), 5)
    assert item["seed"] == hash_seed(3, 5, "piece-004")
    assert item["latents"][1, 0] == hash_seed(item["seed"], "crop") % 65
    again = make(little_sample(4), 5)
    for name in ("latents", "embedding"):
        assert torch.equal(item[name], again[name])
    assert item["caption"] == again["caption"]
    assert make(little_sample(4), 6)["seed"] != item["seed"]
    assert make(little_sample(4), 5, seed=4)["seed"] != item["seed"]
    repeated = ItemMaker(LATENTS, 16, seed=3)(little_sample(4), 5, repeat=1)
    assert repeated["seed"] == hash_seed(3, 5, "piece-004", 1)
    captions = [make(little_sample(4), epoch)["caption"] for epoch in range(90)]
    assert sorted(set(captions)) == ["long 4", "piece 4", "short 4"]
    assert min(captions.count(caption) for caption in set(captions)) > 15


def test_held_out_items_are_the_same_every_time() -> None:
    for epoch in (0, 7):
        item = make(little_sample(4), epoch, training=False)
        assert item["seed"] == hash_seed(3, 0, "piece-004")
        assert item["caption"] == "piece 4"
        assert item["latents"][1, 0] == 32  # the middle
        assert item["seconds_start"] == pytest.approx(3.2)


def test_a_predicted_sample_keeps_its_seed_and_others_have_their_own() -> None:
    """All songs of a rendered corpus name the one seed that they were composed with."""
    predicted = little_sample(4, seed=11, source="musegen predict")
    assert make(predicted, training=False)["seed"] == 11
    assert make(predicted)["seed"] != 11
    songs = [make(little_sample(n, seed=11, source="rendered"), training=False)["seed"] for n in range(3)]
    assert songs == [hash_seed(3, 0, f"piece-{n:03d}") for n in range(3)]


def test_a_short_piece_is_filled_up_and_masked() -> None:
    item = make(little_sample(0), frames=50)  # 40 frames
    assert item["latents"].shape == (CHANNELS, 50)
    assert item["mask"].tolist() == [True] * 40 + [False] * 10
    assert (item["latents"][:, 40:] == 0).all()
    assert item["latents"][1, 39] == 39
    assert (item["seconds_start"], item["seconds_total"]) == (0.0, 4.0)
    whole = embedding_of(unit(0, 2))
    torch.testing.assert_close(item["embedding"], whole)


@pytest.mark.parametrize("epoch", range(12))
def test_a_crop_has_the_embedding_of_what_it_contains(epoch: int) -> None:
    sample = little_sample(3)  # 7 seconds: windows of 2, 2, 2 and 1 seconds
    assert sample.embedding is not None
    item = make(sample, epoch, frames=25)
    begin, end = item["seconds_start"], item["seconds_start"] + 2.5
    expected = np.zeros(8)
    for vector, (start, stop) in zip(sample.embedding, sample.facts["windows"], strict=True):
        inside = [time for time in np.arange(start, stop, 0.05) + 0.025 if begin < time < end]
        expected += vector * len(inside) * 0.05 / (stop - start)
    expected /= np.linalg.norm(expected)
    np.testing.assert_allclose(item["embedding"], expected, atol=1e-5)
    assert item["embedding"].dtype == torch.float32
    assert item["embedding"].norm() == pytest.approx(1.0)


def test_embeddings_of_the_whole_and_of_odd_parts() -> None:
    vectors, windows = unit(1, 3), [[0, 10], [10, 20], [20, 23]]
    mean = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
    np.testing.assert_allclose(embedding_of(vectors), mean, atol=1e-6)
    np.testing.assert_allclose(embedding_of(vectors, windows, 0.0, 23.0), mean, atol=1e-6)
    np.testing.assert_allclose(embedding_of(vectors, windows, 2.0, 9.0), vectors[0], atol=1e-6)
    np.testing.assert_allclose(embedding_of(vectors, windows, 22.0, 23.0), vectors[2], atol=1e-6)
    np.testing.assert_allclose(embedding_of(vectors, windows, 30.0, 40.0), vectors[2], atol=1e-6)
    opposed = np.stack([vectors[0], -vectors[0]])
    np.testing.assert_allclose(embedding_of(opposed, [[0, 1], [1, 2]], 0.0, 2.0), vectors[0], atol=1e-6)


@pytest.mark.parametrize("epoch", range(4))
def test_audio_crops(epoch: int) -> None:
    sample = little_sample(2, audio=True)
    item = make(sample, epoch, fields=("audio", "embedding"), samples=700, sample_rate=SAMPLE_RATE)
    left, right = item["audio"] * 32768
    start = round(item["seconds_start"] * SAMPLE_RATE)
    torch.testing.assert_close(left, torch.arange(start, start + 700, dtype=torch.float32))
    torch.testing.assert_close(right, -left)
    assert item["seconds_total"] == 6.0
    begin = start / SAMPLE_RATE
    torch.testing.assert_close(
        item["embedding"],
        embedding_of(sample.embedding, sample.facts["windows"], begin, begin + 0.7),  # type: ignore[arg-type]
    )


def test_audio_and_latents_are_cropped_together() -> None:
    item = make(little_sample(4, audio=True), fields=("audio", "latents"), samples=1600, sample_rate=SAMPLE_RATE)
    assert item["audio"][0, 0] * 32768 == pytest.approx(item["latents"][1, 0] * SAMPLE_RATE / LATENT_RATE)
    assert item["latents"][1, 0] > 0


def test_short_and_mono_audio() -> None:
    audio, begin, end, total = read_crop(io.BytesIO(flac(0.3, channels=1)), 500, 1, SAMPLE_RATE)
    assert audio.shape == (2, 500)
    assert torch.equal(audio[0], audio[1])
    assert audio[0, 299] * 32768 == 299
    assert (audio[:, 300:] == 0).all()
    assert (begin, end, total) == (0.0, 0.3, 0.3)


def test_packed_audio_is_the_same_audio() -> None:
    content = flac(1.0)
    expected = read_crop(io.BytesIO(content), 1500, 7, SAMPLE_RATE)[0]
    packed = read_crop(io.BytesIO(content), 1500, 7, SAMPLE_RATE, packed=True)[0]
    assert packed.dtype == torch.int16
    assert expected.abs().max() > 0.001
    assert torch.equal(unpacked(packed), expected)
    mixed = collate([{"key": "a", "audio": packed}, {"key": "b", "audio": expected}])["audio"]
    assert torch.equal(mixed[0], mixed[1])


def test_packed_latents_are_the_same_latents() -> None:
    latents = np.random.default_rng(0).normal(size=(4, 9)).astype(np.float16)
    (expected, mask), (packed, same) = (crop_latents(latents, 2, 10, packed) for packed in (False, True))
    assert packed.dtype == torch.float16
    assert expected.dtype == torch.float32
    assert torch.equal(unpacked(packed), expected)
    assert torch.equal(mask, same)
    assert int(mask.sum()) == 7


def test_crop_start() -> None:
    assert crop_start(10, 20, 5) == 0
    assert crop_start(10, 10, 5) == 0
    assert crop_start(11, 4, None) == 3


@pytest.mark.parametrize(
    ("sample", "fields", "message"),
    [
        (Sample("a", {"captions": []}), ["caption"], "sample 'a': expected captions, got none"),
        (Sample("a"), ["latents"], "sample 'a': expected latents, got none"),
        (Sample("a", {}, None, np.zeros((4, 9))), ["latents"], "sample 'a': expected 'latent_rate' among its facts"),
        (Sample("a", {}, None, None, flac(1)), ["audio"], "sample 'a': expected audio at 44100 Hz, got 1000 Hz"),
        (Sample("a", {}, None, None, b"fLaC?"), ["audio"], "sample 'a': expected a FLAC file: "),
    ],
)
def test_what_an_item_lacks_is_said(sample: Sample, fields: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(sample, fields=fields, samples=100)


def test_a_batch() -> None:
    batch = collate([make(little_sample(number)) for number in range(3)])
    assert batch["key"] == ["piece-000", "piece-001", "piece-002"]
    assert batch["seed"].dtype == torch.int64
    assert batch["seconds_start"].dtype == batch["seconds_total"].dtype == torch.float32
    assert batch["latents"].shape == (3, CHANNELS, 16)
    assert batch["mask"].shape == (3, 16)
    assert batch["embedding"].shape == (3, 8)
    whole = [make(little_sample(number), frames=None) for number in (0, 1)]
    with pytest.raises(ValueError, match=r"latents of one shape in a batch, got \[4, 40\] of 'piece-000', \[4, 50\]"):
        collate(whole)
