"""Judges of other packages: each loads where a user has it, and says in one line where not."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from musegen.conditioning.spectral import SpectralEmbedder
from musegen.metrics.embedders.clap import ClapEmbedder
from musegen.metrics.embedders.joint import FromConditioning
from musegen.metrics.embedders.mert import MertEmbedder
from musegen.metrics.embedders.passt import PasstEmbedder
from musegen.metrics.hearing.base import Sound


@pytest.fixture
def sound() -> Sound:
    generator = torch.Generator().manual_seed(0)
    return Sound(0.1 * torch.randn(2, 44100 * 11, generator=generator), 44100)


def little_clap(folder: Path) -> Path:
    """A random CLAP of few parameters in transformers' format."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        ClapAudioConfig,
        ClapConfig,
        ClapFeatureExtractor,
        ClapModel,
        ClapProcessor,
        ClapTextConfig,
        PreTrainedTokenizerFast,
    )

    words = {"<pad>": 1, "<s>": 0, "</s>": 2, "<unk>": 3, "a": 4, "slow": 5, "waltz": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>")
    text = ClapTextConfig(
        vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    audio = ClapAudioConfig(
        window_size=8, num_mel_bins=64, spec_size=256, hidden_size=32, patch_embeds_hidden_size=16,
        num_attention_heads=[2, 2], depths=[1, 1], num_hidden_layers=2, fusion_type=None,
    )  # fmt: skip
    torch.manual_seed(0)
    config = ClapConfig(text_config=text.to_dict(), audio_config=audio.to_dict(), projection_dim=24)
    ClapModel(config).save_pretrained(folder)
    extractor = ClapFeatureExtractor(max_length_s=1, truncation="rand_trunc", padding="repeatpad")
    ClapProcessor(feature_extractor=extractor, tokenizer=fast).save_pretrained(folder)
    return folder


def test_clap_embeds_music_and_text(tmp_path: Path, sound: Sound) -> None:
    judge = ClapEmbedder(str(little_clap(tmp_path)))
    heard = judge.hear(sound)["windows"]
    assert heard.shape == (1, 24)
    assert np.linalg.norm(heard[0]) == pytest.approx(1, abs=1e-5)
    texts = judge.embed_text(["a slow waltz", "a"])
    assert texts.shape == (2, 24)
    assert not torch.allclose(texts[0], texts[1])
    assert np.linalg.norm(judge.clip_vector({"windows": heard})) == pytest.approx(1)


def test_mert_embeds_music(tmp_path: Path, sound: Sound) -> None:
    from transformers import HubertConfig, HubertModel

    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, conv_dim=(8,) * 7,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
    )  # fmt: skip
    HubertModel(config).save_pretrained(tmp_path)
    last, first = MertEmbedder(str(tmp_path)).hear(sound), MertEmbedder(str(tmp_path), layer=0).hear(sound)
    assert last["windows"].shape == (2, 16)
    assert not np.allclose(last["windows"], first["windows"])
    with pytest.raises(ValueError, match="embeds audio only"):
        MertEmbedder(str(tmp_path)).embed_text(["a"])


@pytest.mark.parametrize("judge", [ClapEmbedder, MertEmbedder])
def test_a_model_that_is_not_there_is_named_in_one_line(judge: type, tmp_path: Path, sound: Sound) -> None:
    with pytest.raises(ValueError, match="nowhere") as caught:
        judge(str(tmp_path / "nowhere")).hear(sound)
    assert "\n" not in str(caught.value)


def test_passt_is_used_where_it_is_installed(monkeypatch: pytest.MonkeyPatch, sound: Sound) -> None:
    monkeypatch.setitem(sys.modules, "hear21passt", None)
    with pytest.raises(ImportError, match="pip install"):
        PasstEmbedder().hear(sound)

    class Stand(nn.Module):
        def forward(self, audio: torch.Tensor) -> torch.Tensor:
            assert audio.shape[1] == 320000
            return audio[:, :768]

    asked = {}
    package, base = ModuleType("hear21passt"), ModuleType("hear21passt.base")
    base.get_basic_model = lambda mode: asked.update(mode=mode) or Stand()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "hear21passt", package)
    monkeypatch.setitem(sys.modules, "hear21passt.base", base)
    assert PasstEmbedder().hear(sound)["windows"].shape == (1, 768)
    assert asked == {"mode": "embed_only"}


def test_embedders_of_musegen_judge_too(sound: Sound) -> None:
    judge = FromConditioning(SpectralEmbedder())
    assert judge.hear(sound)["windows"].shape == (1, 512)
    assert judge.title == "SpectralEmbedder"
    assert judge.identity != FromConditioning(SpectralEmbedder(1)).identity
    with pytest.raises(ValueError, match="audio only"):
        judge.embed_text(["a"])
