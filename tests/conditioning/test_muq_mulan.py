"""MuQ-MuLan through the real package, with tiny random weights: what its vectors depend on, and what is refused."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from helpers import randomise, require
from musegen.conditioning.muq_mulan import MuQMuLan, _gather_states, _import_muq
from musegen.data.cache import Cache
from musegen.data.crops import embedding_of
from musegen.data.encoder import Encoder, cut_windows
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_index import read_index
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder

WINDOW = 240_000
CAPTIONS = ["a sad piano", "", "piano a piano sad a sad", "a"]
CONFORMER = {
    "hidden_act": "swish",
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "layer_norm_eps": 1e-5,
    "position_embeddings_type": "rotary",
    "rotary_embedding_base": 10000,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "conv_depthwise_kernel_size": 31,
    "max_source_positions": 5000,
    "feat_extract_activation": "gelu",
    "layerdrop": 0.0,
    **{f"{part}_dropout": 0.1 for part in ("activation", "attention", "hidden", "final", "conformer_conv")},
}


def package() -> Any:
    """Package muq, or skip."""
    with suppress(ValueError):
        _import_muq()  # once it stands in for torchvision, the package imports
    return require("muq")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A MuQ-MuLan as it lies on the hub, a thousandth of its size: its two towers, and the whole over them."""
    muq = package()
    from muq.muq_mulan import AudioTransformerConfig, ModalModelConfig, MuLanConfig, TextTransformerConfig
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig, XLMRobertaModel

    root = tmp_path_factory.mktemp("tiny")
    audio, text = root / "muq-tiny", root / "xlm-roberta-tiny"
    stat = {"melspec_2048_mean": 6.77, "melspec_2048_std": 18.4}
    config = muq.MuQConfig(
        encoder_dim=32, encoder_depth=3, conv_dim=16, codebook_size=64, stat=stat, w2v2_config=CONFORMER
    )
    randomise(muq.MuQ(config)).save_pretrained(audio)
    words = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "a": 4, "sad": 5, "piano": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    fast.save_pretrained(text)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    XLMRobertaModel(XLMRobertaConfig(vocab_size=8, max_position_embeddings=40, **shape)).save_pretrained(text)
    whole = muq.MuQMuLan(
        {
            "mulan": dataclasses.asdict(MuLanConfig()),
            "audio_model": dataclasses.asdict(ModalModelConfig(str(audio), 32)),
            "text_model": dataclasses.asdict(ModalModelConfig(str(text), 32)),
            "audio_transformer": dataclasses.asdict(AudioTransformerConfig(32, 1, 2, 16)),
            "text_transformer": dataclasses.asdict(TextTransformerConfig(32, 1, heads=2, dim_head=16)),
        }
    )
    randomise(whole, seed=1)
    whole.save_pretrained(root / "mulan")
    return root / "mulan"


def music(windows: int) -> torch.Tensor:
    """A tone, noise, and next to nothing: a random network hears little finer differences."""
    tone = 0.2 * torch.sin(2 * torch.pi * 220 * torch.arange(WINDOW) / 24000)
    noise = torch.randn(WINDOW, generator=torch.Generator().manual_seed(0))
    return torch.stack([tone, 0.3 * noise, 1e-4 * noise])[:windows]


def test_windows_are_unit_vectors_that_do_not_depend_on_neighbours(folder: Path) -> None:
    embedder = MuQMuLan(str(folder))
    together = embedder.embed_audio(music(3))
    assert together.shape == (3, 512)
    assert torch.allclose(together.norm(dim=1), torch.ones(3), atol=1e-6)
    assert min((together[a] - together[b]).abs().max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-4
    assert torch.equal(embedder.embed_audio(music(3)[1:2])[0], together[1])


def test_captions_do_not_depend_on_the_longest_one(folder: Path) -> None:
    embedder = MuQMuLan(str(folder))
    together = embedder.embed_text(CAPTIONS)
    assert torch.allclose(together.norm(dim=1), torch.ones(len(CAPTIONS)), atol=1e-6)
    for row, caption in enumerate(CAPTIONS):
        assert torch.equal(embedder.embed_text([caption])[0], together[row])
    network = embedder._network()[0]
    leaking = network.get_text_latents(raw_texts=CAPTIONS)
    assert (leaking[3] - together[3]).abs().max() > 1e-3  # what one at a time is for
    assert (leaking[2] - together[2]).abs().max() < 1e-5  # the longest one is the same either way


def test_every_layer_of_the_conformer_is_there(folder: Path) -> None:
    tower = MuQMuLan(str(folder))._network()[0].audio.model
    states = tower(music(1)).hidden_states
    conformer = tower.model.conformer
    mel = tower.model.normalize(tower.model.preprocessing(music(1), ["melspec_2048"]))["melspec_2048"]
    expected = [tower.model.conv(mel)]
    positions = conformer.embed_positions(expected[0])
    for layer in conformer.layers:
        expected.append(layer(expected[-1], attention_mask=None, relative_position_embeddings=positions))
    expected[-1] = conformer.layer_norm(expected[-1])
    assert len(states) == len(expected) == 4
    for got, wanted in zip(states, expected, strict=True):
        assert wanted.std() > 0.1
        assert (got - wanted).abs().max() <= 1e-5


def test_a_long_caption_is_cut_with_a_warning(folder: Path) -> None:
    embedder = MuQMuLan(str(folder))
    with pytest.warns(UserWarning, match="102 tokens is cut to 38"):
        long = embedder.embed_text(["piano " * 100])
    assert torch.equal(long, embedder.embed_text(["piano " * 36]))


def test_loading_leaves_chance_alone_and_building_costs_nothing(folder: Path) -> None:
    with torch.device("meta"):
        embedder = MuQMuLan(str(folder))
    assert embedder.state_dict() == {}
    random.seed(3)
    torch.manual_seed(3)
    embedder.embed_text(["a"])
    drawn = random.random(), torch.rand(1).item()
    random.seed(3)
    torch.manual_seed(3)
    assert drawn == (random.random(), torch.rand(1).item())
    assert embedder.licence == "CC-BY-NC-4.0"


def test_a_missing_model_gets_one_line() -> None:
    package()
    with pytest.raises(ValueError, match="nowhere") as error:
        MuQMuLan("/nowhere/mulan").embed_text(["a"])
    assert "\n" not in str(error.value)


def test_a_checkpoint_that_lacks_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "mulan")
    weights = load_file(tmp_path / "mulan" / "model.safetensors")
    gone = "mulan.audio_to_latents.weight"
    save_file({name: value for name, value in weights.items() if name != gone}, tmp_path / "mulan/model.safetensors")
    with pytest.raises(ValueError, match=f"lack 1 of .* {gone}"):
        MuQMuLan(str(tmp_path / "mulan")).embed_text(["a"])


def test_towers_that_could_bring_code_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "mulan")
    file = tmp_path / "mulan" / "config.json"
    config = json.loads(file.read_text())
    config["text_model"]["name"] = "stranger/model"
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"text_model.*xlm-roberta.*stranger"):
        MuQMuLan(str(tmp_path / "mulan")).embed_text(["a"])


@pytest.mark.parametrize("seconds", [4, 10, 20, 27])
def test_a_piece_is_what_the_package_itself_makes_of_it(folder: Path, seconds: int) -> None:
    """Windows averaged and normalised again; the package leaves the mean of unit vectors at its length."""
    piece = torch.cat([*music(3)])[: seconds * 24000]
    embedder = MuQMuLan(str(folder))
    windows, times = cut_windows(piece, embedder)
    assert len(windows) == -(-seconds // 10)
    vectors = embedder.embed_audio(windows)
    ours = embedding_of(vectors.numpy(), times)
    whole = package().MuQMuLan.from_pretrained(str(folder)).eval()
    _gather_states(whole.mulan.audio.model.model.conformer)
    with torch.no_grad():
        # the package cannot fill up a window from a piece that is shorter than what is lacking
        theirs = whole(wavs=(piece if seconds > 9 else windows[0])[None])[0]
    assert ours.norm() == pytest.approx(1, abs=1e-6)
    assert (ours - torch.nn.functional.normalize(theirs, dim=0)).abs().max() < 3e-7
    if seconds > 10:  # a random network hears small differences, but larger ones than that
        assert min((ours - vector).abs().max() for vector in vectors) > 1e-5


def test_caching_computes_in_float32_whatever_surrounds_it(folder: Path, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, torch.cat([*music(2)]).clamp(-1, 1).numpy(), 24000, format="FLAC")
    with ShardWriter(tmp_path / "audio", {}) as writer:
        writer.write(Sample("piece", {"captions": ["a sad piano"], "licence": "CC0-1.0"}, audio=buffer.getvalue()))
    embedder = MuQMuLan(str(folder))
    encoder = Encoder(embedder, None).bfloat16()
    with torch.autocast("cpu", torch.bfloat16), Cache(tmp_path / "audio", tmp_path / "out", encoder) as cache:
        for number in cache.begin():
            list(cache.encode(number))
        cache.finish()
    cached = ShardFolder(tmp_path / "out", ["embedding"])[0]
    heard, _ = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32")
    expected = embedder.embed_audio(torch.from_numpy(heard).unflatten(0, (2, -1)))
    assert cached.embedding is not None
    assert cached.embedding.dtype == "float32"
    assert torch.equal(torch.from_numpy(cached.embedding.copy()), expected)
    assert cached.facts["windows"] == [[0.0, 10.0], [10.0, 20.0]]
    assert cached.facts["licence"] == "CC-BY-NC-4.0 AND CC0-1.0"
    made_by = read_index(tmp_path / "out").made_by
    assert made_by["embedding"]["revision"] == f"{folder} (muq 0.1.0)"
    assert verify_folder(tmp_path / "out").problems == []
