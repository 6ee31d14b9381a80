"""How conditioners join into what a network is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from helpers import randomise
from musegen.conditioning.base import TextEncoder
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.conditioning.seconds import SecondsConditioner
from musegen.flow.model import FlowModel
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.embedding_transformer import EmbeddingTransformer


class Letters(TextEncoder):
    """Each letter is a token."""

    dim, max_tokens, revision, licence = 16, 6, "letters", "CC0-1.0"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.calls += captions
        states = torch.zeros(len(captions), self.max_tokens, self.dim)
        mask = torch.zeros(len(captions), self.max_tokens, dtype=torch.bool)
        for index, caption in enumerate(captions):
            for place, letter in enumerate(caption[: self.max_tokens]):
                states[index, place] = torch.sin(torch.arange(self.dim) * ord(letter))
                mask[index, place] = True
        return states, mask


def build(cache_size: int = 0) -> Conditioning:
    conditioners = {
        "prompt": CaptionConditioner(Letters(), cache_size),
        "muq": EmbeddingConditioner(8, tokens=3, dim=16),
        "seconds_start": SecondsConditioner("seconds_start", 16),
        "seconds_total": SecondsConditioner("seconds_total", 16),
    }
    order = ["prompt", "muq", "seconds_start", "seconds_total"]
    conditioning = Conditioning(conditioners, order, ["seconds_start", "seconds_total"])
    randomise(conditioning)
    return conditioning


BATCH = {
    "caption": ["abc", "de"],
    "embedding": torch.nn.functional.normalize(torch.randn(2, 8, generator=torch.Generator().manual_seed(0))),
    "seconds_start": torch.tensor([0.0, 12.5]),
    "seconds_total": torch.tensor([47.0, 200.0]),
}


def test_tokens_stand_in_order_and_seconds_are_the_vector() -> None:
    conditioning = build()
    condition = conditioning(BATCH)
    assert condition.tokens.shape == (2, 6 + 3 + 1 + 1, 16)
    assert condition.mask is not None
    assert condition.mask[1].tolist() == [True] * 2 + [False] * 4 + [True] * 5
    assert condition.vector is not None
    assert torch.equal(condition.vector, condition.tokens[:, -2:].flatten(1))
    assert condition.tokens[:, 6:].std() > 0.1
    assert not torch.equal(condition.tokens[0, 6], condition.tokens[0, 7])


def test_without_captions_there_is_no_mask() -> None:
    conditioning = Conditioning({"muq": EmbeddingConditioner(8, tokens=3, dim=16)}, ["muq"])
    condition = conditioning(BATCH)
    assert condition.mask is None
    assert condition.vector is None


def test_the_encoder_is_in_no_checkpoint() -> None:
    assert not any("prompt" in name for name in build().state_dict())
    assert "conditioners.seconds_start.embedder.embedding.0.weights" in build().state_dict()


def test_captions_are_encoded_once_and_give_the_same_states() -> None:
    conditioning = build(cache_size=2)
    prompt = conditioning.conditioners["prompt"]
    assert isinstance(prompt, CaptionConditioner)
    first = prompt({"caption": ["abc", "de", "abc"]})[0]
    again = prompt({"caption": ["de", "abc"]})[0]
    assert torch.equal(first[0], first[2])
    assert torch.equal(first[[1, 0]], again)
    assert isinstance(prompt.encoder, Letters)
    assert prompt.encoder.calls == ["abc", "de"]
    prompt({"caption": ["f", "g"]})
    prompt({"caption": ["abc"]})
    assert prompt.encoder.calls[2:] == ["f", "g", "abc"]  # the cache had room for two


def test_states_that_are_kept_are_rounded_once() -> None:
    exact, mask = Letters().encode(["abc", "de"])
    kept = CaptionConditioner(Letters(), cache_size=2)
    states, kept_mask = kept({"caption": ["abc", "de"]})
    assert states.dtype == torch.float32
    assert torch.equal(kept_mask, mask)
    assert not torch.equal(states, exact)
    assert ((states - exact).abs() <= exact.abs() / 2048 + 2**-25).all()
    assert torch.equal(CaptionConditioner(Letters())({"caption": ["abc", "de"]})[0], exact)


def test_states_that_cannot_be_kept_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = Letters.encode
    monkeypatch.setattr(Letters, "encode", lambda self, captions: (1e6 * encode(self, captions)[0], torch.ones(1, 6)))
    with pytest.raises(ValueError, match="cache_size: Letters's states are not finite in float16; 0 keeps none"):
        CaptionConditioner(Letters(), cache_size=2)({"caption": ["abc"]})
    assert CaptionConditioner(Letters())({"caption": ["abc"]})[0].isfinite().all()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match="'embedding' in the batch"):
        build()({"caption": ["a"]})
    with pytest.raises(ValueError, match=r"\[batch, 8\]"):
        build()({**BATCH, "embedding": torch.zeros(2, 9)})
    with pytest.raises(ValueError, match="nobody"):
        Conditioning({"muq": EmbeddingConditioner(8, 3, 16)}, ["nobody"])
    with pytest.raises(ValueError, match="muq"):
        Conditioning({"muq": EmbeddingConditioner(8, 3, 16), "t": SecondsConditioner("t", 16)}, ["t"])


def test_states_that_a_batch_brings_are_read_one_by_one_too() -> None:
    network = EmbeddingTransformer(dim=32, depth=1, heads=2, embedding_dim=8, embedding_tokens=2, text_dim=16)
    encoder = Letters()
    model = FlowModel(network, Conditioning({"prompt": CaptionConditioner(encoder)}, ["prompt"]), RectifiedFlow())
    states, mask = encoder.encode(["abc", "de"])
    encoder.calls.clear()
    alone = model.condition({"text_states": states, "text_mask": mask}, one_by_one=True)
    assert torch.equal(alone.tokens, states)
    assert not encoder.calls
    with pytest.raises(ValueError, match=r"as many items of each, and at least one, got .*'caption': 3"):
        model.condition({"caption": ["a", "b", "c"], "text_states": states, "text_mask": mask}, one_by_one=True)
    with pytest.raises(ValueError, match=r"at least one, got .*0"):
        model.condition({"caption": []}, one_by_one=True)


def test_the_embedding_gets_a_gradient_everywhere() -> None:
    conditioning = build()
    condition = conditioning(BATCH)
    condition.tokens.square().sum().backward()
    for name, parameter in conditioning.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
