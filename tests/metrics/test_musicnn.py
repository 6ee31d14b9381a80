"""The port of musicnn against the package itself: values that TensorFlow and librosa computed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from musegen.metrics.embedders.base import cut
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.hearing.base import Sound
from musegen.metrics.musicnn.checkpoint import read_checkpoint
from musegen.metrics.musicnn.network import POOLED, TAGS, Dataset, Musicnn
from musicnn_weights import published

GOLDEN = json.loads((Path(__file__).parent / "musicnn_golden.json").read_text(encoding="utf-8"))


def sound() -> torch.Tensor:
    """What the golden values were computed from: 6.5 s at 16 kHz."""
    time = np.arange(int(16000 * 6.5)) / 16000
    noise = np.random.Generator(np.random.Philox(7)).standard_normal(len(time))
    tones = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.2 * np.sin(2 * np.pi * 554.37 * time * (1 + 0.01 * time))
    return torch.from_numpy((tones + 0.4 * np.exp(-20 * (time % 0.5)) * noise).astype(np.float32))


@pytest.mark.parametrize("dataset", ["MSD", "MTT"])
def test_tags_and_embedding_are_those_of_tensorflow(dataset: Dataset) -> None:
    published(dataset)
    embedder, golden = MusicnnEmbedder(dataset), GOLDEN[dataset]
    with torch.inference_mode():
        logits, vectors = embedder.network["tagger"](embedder.network["spectrum"](sound()))
    assert vectors.shape == (2, 200)
    assert np.abs(logits[:, :8].numpy() - golden["logits"]).max() < 2e-4
    assert np.abs(vectors[:, :8].numpy() - golden["embedding"]).max() < 2e-4
    assert abs(float(logits.abs().sum()) - golden["logits_sum"]) < 2e-2
    assert abs(float(vectors.abs().sum()) - golden["embedding_sum"]) < 2e-2
    heard = embedder.hear(Sound(sound()[None], 16000))
    assert np.allclose(heard["windows"], vectors, atol=1e-5)
    assert np.allclose(heard["logits"], logits, atol=1e-5)
    with torch.inference_mode():
        pooled = embedder.network["tagger"].pooled(embedder.network["spectrum"](sound()))
        assert torch.equal(embedder.network["tagger"].described(pooled)[0], logits)
    assert heard["pooled"].shape == (POOLED,)
    assert np.allclose(heard["pooled"], pooled.mean(0), atol=1e-5)


def test_some_windows_stand_for_all() -> None:
    published("MSD")
    whole, some = (MusicnnEmbedder("MSD", every).hear(Sound(sound()[None], 16000)) for every in (1, 2))
    assert np.allclose(some["windows"], np.asarray(whole["windows"])[:1], atol=1e-5)
    with pytest.raises(ValueError, match="every: expected 1 or more, got 0"):
        MusicnnEmbedder("MSD", 0)


@pytest.mark.parametrize("samples", [0, 1, 300, 20000])
def test_short_and_silent_clips_are_heard(samples: int) -> None:
    published("MSD")
    heard = MusicnnEmbedder("MSD").hear(Sound(torch.zeros(2, samples), 44100))
    assert heard["windows"].shape == (1, 200)
    assert np.isfinite(heard["windows"]).all()


def test_every_output_has_a_name() -> None:
    assert {len(tags) for tags in TAGS.values()} == {50}
    assert all(len(set(tags)) == 50 for tags in TAGS.values())


def test_every_weight_of_the_checkpoint_is_used() -> None:
    there = published("MSD")
    learned = [name for name in there if "Adam" not in name and "_power" not in name]
    network = Musicnn("MSD")
    assert sum(there[name].size for name in learned) == sum(
        tensor.numel() for name, tensor in network.state_dict().items() if "num_batches" not in name
    )


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.data-00000-of-00001").write_bytes(b"")
    for content in (b"", b"\0" * 100, b"\xff" * 60 + bytes.fromhex("57fb808b247547db")):
        (tmp_path / "x.index").write_bytes(content)
        with pytest.raises(ValueError, match=r"x\.index: expected a TensorFlow checkpoint"):
            read_checkpoint(tmp_path / "x")


def test_windows_follow_each_other() -> None:
    assert cut(torch.arange(10.0), 4).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert cut(torch.arange(3.0), 4).tolist() == [[0, 1, 2, 0]]
    assert cut(torch.zeros(1), 4).shape == (1, 4)
