"""Encoding once: what is written, in which windows, under which licence; and going on after an interruption."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from helpers import randomise
from musegen.audio import resample
from musegen.conditioning.base import Embedder
from musegen.data.cache import PREPROCESSING, Encoder, cache_folder, cut_windows, part_of
from musegen.data.crops import embedding_of
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_index import read_index
from musegen.data.shard_writer import ShardWriter
from musegen.models.oobleck import OobleckAutoencoder

RATE = 1000


class Waves(Embedder):
    """Four numbers of a window of 2 s at 500 Hz: what its quarters sound like.

    Args:
        revision: to tell two of them apart.
    """

    dim, sample_rate, window_seconds, licence = 4, 500, 2.0, "CC-BY-NC-4.0"

    def __init__(self, revision: str = "waves-1") -> None:
        super().__init__()
        self.revision = revision
        self.seen: list[tuple[int, ...]] = []

    def embed_audio(self, waveform: Tensor) -> Tensor:
        self.seen.append(tuple(waveform.shape))
        quarters = waveform.unflatten(1, (4, -1)).square().mean(2) + 1e-3
        return torch.nn.functional.normalize(quarters, dim=1)


def codec() -> OobleckAutoencoder:
    net = OobleckAutoencoder(channels=2, multiples=[1, 2], strides=[4, 8], latent_channels=3, sample_rate=800)
    randomise(net, scale=2.0)
    return net.eval()


def music(seconds: float, seed: int) -> bytes:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * RATE), 2))
    buffer = io.BytesIO()
    soundfile.write(buffer, noise * np.linspace(0, 1, len(noise))[:, None], RATE, format="FLAC")
    return buffer.getvalue()


def songs(folder: Path, count: int = 7) -> Path:
    with ShardWriter(folder, {"source": "noise"}, samples_per_shard=3) as writer:
        for number in range(count):
            facts = {"captions": [f"noise {number}"], "licence": "CC-BY-4.0", "tempo": 90 + number}
            writer.write(Sample(f"noise-{number}", facts, audio=music(3 + 0.5 * number, number)))
    return folder


def encoder(revision: str = "waves-1") -> Encoder:
    return Encoder(Waves(revision), codec(), "weights-1", torch.device("cpu"), ["MIT"])


def encode(source: Path, out: Path, rank: int = 0, world: int = 1) -> list[bool]:
    return list(cache_folder(source, out, encoder(), 2, rank, world))


def contents(folder: Path) -> dict[str, tuple[bytes, bytes, str]]:
    read = ShardFolder(folder, ["embedding", "latents"])
    found = {}
    for position in range(len(read)):
        sample = read[position]
        assert sample.embedding is not None
        assert sample.latents is not None
        found[sample.key] = (sample.embedding.tobytes(), sample.latents.tobytes(), repr(sorted(sample.facts.items())))
    assert len(found) == len(read)
    return found


def test_windows_are_whole_and_the_last_one_wraps_round() -> None:
    embedder = Waves()
    windows, times = cut_windows(torch.arange(2300), embedder)
    assert windows.tolist() == [[*range(1000)], [*range(1000, 2000)], [*range(2000, 2300), *range(700)]]
    assert times == [[0.0, 2.0], [2.0, 4.0], [4.0, 4.6]]
    assert cut_windows(torch.arange(2000), embedder)[1] == [[0.0, 2.0], [2.0, 4.0]]
    short, times = cut_windows(torch.arange(300), embedder)
    assert short[0].tolist() == [number % 300 for number in range(1000)]
    assert times == [[0.0, 0.6]]


def test_a_sample_keeps_its_facts_and_gets_embeddings_and_latents(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    assert encode(source, tmp_path / "out") == [True] * 7
    index = read_index(tmp_path / "out")
    assert index.fields == ("caption", "embedding", "latents")
    assert index.licences == ("CC-BY-4.0 AND CC-BY-NC-4.0 AND MIT",)
    assert index.made_by["embedding"]["revision"] == "waves-1"
    assert index.made_by["latents"]["weights"] == "weights-1"
    assert index.made_by["latents"]["class_path"].endswith("OobleckAutoencoder")
    assert index.made_by["preprocessing"] == PREPROCESSING
    assert index.made_by["audio"] == {"source": "noise"}
    sample = ShardFolder(tmp_path / "out", ["embedding", "latents"])[4]
    assert (sample.key, sample.captions, sample.facts["tempo"]) == ("noise-4", ["noise 4"], 94)
    assert sample.facts["seconds"] == 5.0
    assert sample.facts["windows"] == [[0.0, 2.0], [2.0, 4.0], [4.0, 5.0]]
    assert sample.facts["latent_rate"] == 25.0
    assert sample.embedding is not None
    assert sample.latents is not None
    assert sample.embedding.shape == (3, 4)
    assert sample.latents.shape == (3, 125)
    audio = ShardFolder(source, ["audio"])[4]
    assert audio.audio is not None
    samples, _ = soundfile.read(io.BytesIO(audio.audio), dtype="float32")
    mono = resample(torch.from_numpy(samples.mean(1)), RATE, 500)
    vectors = Waves().embed_audio(cut_windows(mono, Waves())[0])
    assert np.abs(sample.embedding - vectors.numpy()).max() < 1e-5
    expected = codec().encode(resample(torch.from_numpy(samples.T.copy()), RATE, 800)[None]).mean[0]
    assert expected.std() > 0.1
    assert (torch.from_numpy(sample.latents).float() - expected.detach()).abs().max() < 2e-3 * expected.abs().max()


def test_a_run_that_broke_goes_on_where_its_last_shard_ends(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    encode(source, tmp_path / "whole")
    broken = encoder()
    steps = cache_folder(source, tmp_path / "out", broken, 2)
    assert [next(steps) for _ in range(5)] == [True] * 5
    steps.close()  # as when it is killed: two shards are whole, the fifth sample is lost
    assert encode(source, tmp_path / "out") == [False] * 4 + [True] * 3
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert encode(source, tmp_path / "out") == [False] * 7
    assert len(encode(songs(tmp_path / "more", 9), tmp_path / "out")) == 9
    assert len(contents(tmp_path / "out")) == 9


def test_parts_make_the_whole_and_may_change_in_number(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    encode(source, tmp_path / "whole")
    assert [part_of(7, rank, 3) for rank in range(3)] == [3, 2, 2]
    assert encode(source, tmp_path / "out", 0, 3) == [True] * 3
    assert encode(source, tmp_path / "out", 1, 3) == [True] * 2
    assert encode(source, tmp_path / "out", 0, 2) == [False, True, False, False]  # of items 0, 2, 4 and 6
    assert encode(source, tmp_path / "out") == [False] * 5 + [True] + [False]
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_another_encoder_made_is_not_mixed_in(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs", 2)
    encode(source, tmp_path / "out", 1, 2)
    for rank, world in ((0, 1), (0, 2), (1, 2)):
        with pytest.raises(
            ValueError, match=r"made otherwise: embedding\.init_args.revision is 'waves-1', not 'waves-2'"
        ):
            list(cache_folder(source, tmp_path / "out", encoder("waves-2"), 2, rank, world))


def test_one_of_both_is_enough(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs", 2)
    place = torch.device("cpu")
    assert list(cache_folder(source, tmp_path / "a", Encoder(Waves(), None, None, place), 2)) == [True, True]
    assert list(cache_folder(source, tmp_path / "b", Encoder(None, codec(), "w", place), 2)) == [True, True]
    assert read_index(tmp_path / "a").fields == ("caption", "embedding")
    assert read_index(tmp_path / "b").fields == ("caption", "latents")
    assert "embedding" not in read_index(tmp_path / "b").made_by
    assert read_index(tmp_path / "b").licences == ("CC-BY-4.0",)


def test_mono_and_short_audio_are_encoded_and_none_is_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * np.ones(400), RATE, format="FLAC")
    sample = encoder()(Sample("short", {}, audio=buffer.getvalue()))
    assert sample.embedding is not None
    assert sample.embedding.shape == (1, 4)
    assert sample.facts["licence"] == "CC-BY-NC-4.0 AND MIT AND unknown"
    empty = io.BytesIO()
    soundfile.write(empty, np.zeros((0, 2)), RATE, format="FLAC")
    for audio in (None, b"fLaC, but no music", empty.getvalue()):
        with pytest.raises(ValueError, match="'broken': expected audio") as error:
            encoder()(Sample("broken", {}, audio=audio))
        assert "\n" not in str(error.value)


def test_the_vector_of_a_piece_is_the_mean_of_its_windows() -> None:
    embedder = Waves()
    mono = torch.randn(2300, generator=torch.Generator().manual_seed(0))
    windows, times = cut_windows(mono, embedder)
    vectors = embedder.embed_audio(windows)
    expected = torch.nn.functional.normalize(vectors.mean(0), dim=0)
    assert torch.allclose(embedding_of(vectors.numpy(), times), expected, atol=1e-6)
