"""Encoding once: what is written, in which windows, under which licence; and going on after an interruption."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from little_cache import RATE, Waves, codec, encode, encoder, everything, songs
from musegen.audio import resample
from musegen.conditioning.spectral import SpectralEmbedder
from musegen.data.cache import Cache
from musegen.data.crops import embedding_of
from musegen.data.encoder import PREPROCESSING, Encoder, cut_windows
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_index import read_index
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder
from tiny import TinyEncoder


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
    encode(source, tmp_path / "out")
    index = read_index(tmp_path / "out")
    assert index.fields == ("caption", "embedding", "latents", "text")
    assert index.licences == ("CC-BY-4.0 AND CC-BY-NC-4.0 AND CC0-1.0 AND MIT",)
    assert index.made_by["embedding"]["revision"] == "waves-1"
    assert index.made_by["latents"]["weights"] == "weights-1"
    assert index.made_by["latents"]["class_path"].endswith("OobleckAutoencoder")
    assert index.made_by["preprocessing"] == PREPROCESSING
    assert index.made_by["audio"] == {"source": "noise"}
    sample = ShardFolder(tmp_path / "out", ["embedding", "latents"])[4]
    assert (sample.key, sample.captions, sample.facts["tempo"]) == ("noise-4", ["noise 4", "more noise"], 94)
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
    assert encode(source, tmp_path / "whole") == [f"noise-{number}" for number in range(7)]
    with Cache(source, tmp_path / "out", encoder(), 2) as cache:
        assert cache.begin() == [0, 1, 2, 3]
        assert len(list(cache.encode(1))) == 2
        assert next(cache.encode(0)).key == "noise-0"  # and no more: it is given up
        with pytest.raises(ValueError, match=r"expected 4 shards, 00000.tar, 00002.tar, 00003.tar are missing"):
            cache.finish()
    with pytest.raises(ValueError, match=r"expected whole shards, got unfinished ones"):
        read_index(tmp_path / "out")
    assert encode(source, tmp_path / "out") == [f"noise-{number}" for number in (0, 1, 4, 5, 6)]
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")
    assert encode(source, tmp_path / "out") == []
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")


def test_what_is_lost_from_a_folder_is_made_again(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    encode(source, tmp_path / "out")
    whole = everything(tmp_path / "out")
    (tmp_path / "out" / "00001.tar").unlink()
    (tmp_path / "out" / "00002.members.json").unlink()
    with (tmp_path / "out" / "00003.tar").open("ab") as file:
        file.truncate(700)
    assert encode(source, tmp_path / "out") == [f"noise-{number}" for number in range(2, 7)]
    assert everything(tmp_path / "out") == whole


def test_a_source_that_grew_is_encoded_where_it_did(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs", 6)
    encode(source, tmp_path / "out", size=4)
    songs(source, 9, first=6)
    assert encode(source, tmp_path / "out", size=4) == [f"noise-{number}" for number in range(4, 9)]
    encode(source, tmp_path / "whole", size=4)
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_the_number_of_parts_changes_nothing(tmp_path: Path, parts: int) -> None:
    source = songs(tmp_path / "songs")
    encode(source, tmp_path / "whole")
    assert sorted(encode(source, tmp_path / "out", parts)) == [f"noise-{number}" for number in range(7)]
    assert everything(tmp_path / "out") == everything(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["index.json", *(f"0000{number}.{end}" for number in range(4) for end in ("tar", "members.json"))]
    )


def test_no_sample_comes_twice_and_none_is_missing(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    for size in (1, 2, 3, 100):
        encode(source, tmp_path / f"out{size}", size=size)
        folder = ShardFolder(tmp_path / f"out{size}")
        assert [folder[number].key for number in range(len(folder))] == [f"noise-{number}" for number in range(7)]
    with ShardWriter(source, {"source": "noise"}, part="more") as writer:
        writer.write(ShardFolder(source, ["audio"])[4])
    with pytest.raises(ValueError, match=r"00001.tar: expected unique keys, got 'noise-4', which is in more-00000.tar"):
        encode(source, tmp_path / "twice")


def test_folders_of_others_are_refused(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs", 2)
    encode(source, tmp_path / "out")
    before = everything(tmp_path / "out")
    other = r"made otherwise: embedding\.init_args.revision is 'waves-1', not 'waves-2'"
    with pytest.raises(ValueError, match=other):
        encode(source, tmp_path / "out", encoder=encoder("waves-2"))
    with pytest.raises(ValueError, match=r"windows\.batch is 4, not 5"):
        encode(source, tmp_path / "out", encoder=encoder(batch=5))
    with pytest.raises(ValueError, match="expected another folder"):
        encode(source, source)
    (tmp_path / "out" / "00001.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected at most 1 shards, got 00001.tar too"):
        encode(source, tmp_path / "out")
    (tmp_path / "out" / "00001.tar").unlink()
    with Cache(source, tmp_path / "out", encoder(), 2) as cache:
        cache.begin()
        with pytest.raises(ValueError, match="another process is writing"):
            encode(source, tmp_path / "out")
    assert everything(tmp_path / "out") == before


def test_each_alone_is_enough(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs", 2)
    parts = {
        "embedding": Encoder(Waves(), None),
        "latents": Encoder(None, codec(), "w"),
        "text": Encoder(None, None, text=TinyEncoder()),
    }
    for name, part in parts.items():
        encode(source, tmp_path / name, encoder=part)
        index = read_index(tmp_path / name)
        assert index.fields == tuple(sorted(["caption", name]))
        assert {*index.made_by} - {"preprocessing"} == {"audio", name}
    with pytest.raises(ValueError, match="got none: there is nothing to encode"):
        Encoder(None, None)


def test_text_states_can_be_added_to_what_is_encoded(tmp_path: Path) -> None:
    source = songs(tmp_path / "songs")
    encode(source, tmp_path / "all")
    both = encoder()
    encode(source, tmp_path / "both", encoder=Encoder(both.embedder, both.codec, "weights-1", None, ["MIT"], 4, 16))
    encode(tmp_path / "both", tmp_path / "out", encoder=Encoder(None, None, text=TinyEncoder()))
    assert read_index(tmp_path / "out").made_by == read_index(tmp_path / "all").made_by
    assert everything(tmp_path / "out")["00000.tar"] == everything(tmp_path / "all")["00000.tar"]
    sample = ShardFolder(tmp_path / "out", ["text"])[3]
    states, mask = TinyEncoder().encode(sample.captions)
    assert sample.text is not None
    for cached, state, real in zip(sample.text, states, mask, strict=True):
        np.testing.assert_array_equal(cached, state[real].half().numpy())


def test_samples_without_captions_have_no_text_states() -> None:
    (sample,) = Encoder(None, None, text=TinyEncoder())([Sample("silent", {"captions": []})])
    assert sample.text is None


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_latents_in_batches_are_those_of_each_alone(tmp_path: Path, batch: int) -> None:
    songs(tmp_path / "songs")
    net, folder = codec(), ShardFolder(tmp_path / "songs", ["audio"])
    pieces = [folder[number] for number in range(7)]
    for piece, sample in zip(pieces, Encoder(None, net, batch=batch, chunk_frames=16)(pieces), strict=True):
        assert piece.key == sample.key
        assert piece.audio is not None
        audio, _ = soundfile.read(io.BytesIO(piece.audio), dtype="float32")
        with torch.no_grad():
            alone = net.encode(resample(torch.from_numpy(audio.T.copy()), RATE, 800)[None]).mean[0].numpy()
        assert alone.std() > 0.1
        assert sample.latents is not None
        assert np.abs(sample.latents - alone).max() < 1e-5 * np.abs(alone).max()


def test_pieces_of_any_lengths_come_out_in_order(tmp_path: Path) -> None:
    folder = ShardFolder(songs(tmp_path / "songs"), ["audio"])
    pieces = [replace(folder[number % 7], key=f"piece-{number}") for number in (6, 0, 3, 0, 6, 1, 2, 0)]
    made = list(Encoder(None, codec(), batch=5, chunk_frames=16)(iter(pieces)))
    assert [sample.key for sample in made] == [piece.key for piece in pieces]
    assert [sample.latents.shape[1] for sample in made if sample.latents is not None] == [
        -(-round(800 * (3 + 0.5 * number)) // 32) for number in (6, 0, 3, 0, 6, 1, 2, 0)
    ]


def test_silence_is_music_too(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((30 * 22050, 2)), 22050, format="FLAC")
    with ShardWriter(tmp_path / "songs", {}) as writer:
        writer.write(Sample("silence", {"captions": ["nothing"]}, audio=buffer.getvalue()))
    encode(tmp_path / "songs", tmp_path / "out", encoder=Encoder(SpectralEmbedder(), codec(), "w"))
    assert verify_folder(tmp_path / "out").problems == []
    sample = ShardFolder(tmp_path / "out", ["embedding"])[0]
    assert sample.embedding is not None
    assert sample.embedding.shape == (3, 512)


def test_mono_and_short_audio_are_encoded_and_none_is_refused() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, 0.1 * np.ones(400), RATE, format="FLAC")
    (sample,) = encoder()([Sample("short", {}, audio=buffer.getvalue())])
    assert sample.embedding is not None
    assert sample.embedding.shape == (1, 4)
    assert sample.facts["licence"] == "CC-BY-NC-4.0 AND CC0-1.0 AND MIT AND unknown"
    empty = io.BytesIO()
    soundfile.write(empty, np.zeros((0, 2)), RATE, format="FLAC")
    for audio in (None, b"fLaC, but no music", empty.getvalue()):
        with pytest.raises(ValueError, match="'broken': expected audio") as error:
            list(encoder()([Sample("broken", {}, audio=audio)]))
        assert "\n" not in str(error.value)


def test_the_vector_of_a_piece_is_the_mean_of_its_windows() -> None:
    embedder = Waves()
    mono = torch.randn(2300, generator=torch.Generator().manual_seed(0))
    windows, times = cut_windows(mono, embedder)
    vectors = embedder.embed_audio(windows)
    expected = torch.nn.functional.normalize(vectors.mean(0), dim=0)
    assert torch.allclose(embedding_of(vectors.numpy(), times), expected, atol=1e-6)
