"""Norms, rotary positions, Fourier features and attention, each against what it should be."""

from __future__ import annotations

import math

import pytest
import torch

from helpers import randomise, require
from musegen.nn.attention import CrossAttention, SelfAttention
from musegen.nn.feedforward import MLP, SwiGLU
from musegen.nn.fourier import FourierFeatures, NumberEmbedding
from musegen.nn.norms import LayerNorm
from musegen.nn.rotary import RotaryEmbedding, rotate


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_layer_norm_computes_in_float32() -> None:
    norm = LayerNorm(16)
    randomise(norm)
    x = 3 * draw(5, 16) + 100
    expected = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt() * norm.gamma
    torch.testing.assert_close(norm(x), expected, atol=1e-4, rtol=0)
    half = LayerNorm(16).to(torch.bfloat16)
    given = x.bfloat16()
    assert torch.equal(half(given), LayerNorm(16)(given.float()).bfloat16())


def test_rotations_make_products_depend_on_distance() -> None:
    rotation = RotaryEmbedding(32)(50)
    query, key = draw(64).expand(50, 64), draw(64, seed=1).expand(50, 64)
    products = rotate(query, rotation) @ rotate(key, rotation).T
    for distance in (-7, 0, 3):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=0)
    assert products[0].std() > 0.1


def test_rotations_leave_other_dimensions_and_lengths_alone() -> None:
    x = draw(2, 3, 50, 64)
    turned = rotate(x, RotaryEmbedding(32)(50))
    assert torch.equal(turned[..., 32:], x[..., 32:])
    assert torch.equal(turned[:, :, 0], x[:, :, 0])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-4, rtol=0)


def test_frequencies_survive_half_precision() -> None:
    rotary, features = RotaryEmbedding(32), FourierFeatures(64)
    exact = rotary(1025), features(torch.linspace(0, 1, 9))
    model = torch.nn.ModuleList([rotary, features, torch.nn.Linear(2, 2)]).to(torch.bfloat16)
    assert model[2].weight.dtype == torch.bfloat16
    assert torch.equal(rotary(1025)[1], exact[0][1])
    assert torch.equal(features(torch.linspace(0, 1, 9)), exact[1])
    # a checkpoint that someone rounded
    rotary.load_state_dict({"inv_freq": rotary.inv_freq.half()})
    assert torch.equal(rotary(1025)[1], exact[0][1])


def test_fourier_features_are_cosines_and_sines() -> None:
    features = FourierFeatures(8)
    time = torch.tensor([0.25, 0.5])
    angle = 2 * math.pi * time[:, None] * features.weight.T
    torch.testing.assert_close(features(time), torch.cat((angle.cos(), angle.sin()), dim=1))
    assert features.weight.std() > 1


def test_number_embedding_agrees_with_stable_audio_tools() -> None:
    require("stable_audio_tools")
    from stable_audio_tools.models.conditioners import NumberConditioner

    theirs = NumberConditioner(48, min_val=0, max_val=512)
    ours = randomise(NumberEmbedding(48), scale=3.0)
    theirs.embedder.load_state_dict(ours.state_dict(), strict=True)
    seconds = [0.0, 11.9, 47.5, 512.0]
    with torch.no_grad():
        published = theirs(seconds, "cpu")[0][:, 0]
        output = ours(torch.tensor(seconds) / 512)
    difference = float((output - published).abs().max())
    print(f"number embedding: largest difference {difference:.1e} at a standard deviation of {output.std():.2f}")
    assert output.std() > 0.1
    assert difference <= 1e-5


@pytest.mark.parametrize("qk_norm", ["none", "layer"])
def test_self_attention_is_a_weighted_mean(qk_norm: str) -> None:
    attention = randomise(SelfAttention(12, 3, qk_norm))  # type: ignore[arg-type]
    x = draw(2, 5, 12)
    mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    queries, keys, values = (part.unflatten(2, (3, 4)) for part in attention.to_qkv(x).chunk(3, dim=-1))
    if qk_norm == "layer":
        queries, keys = attention.q_norm(queries), attention.k_norm(keys)
    scores = torch.einsum("bqhd,bkhd->bhqk", queries, keys) / 2
    weights = scores.masked_fill(~mask[:, None, None], -torch.inf).softmax(dim=-1)
    expected = attention.to_out(torch.einsum("bhqk,bkhd->bqhd", weights, values).flatten(2))
    torch.testing.assert_close(attention(x, None, mask[:, None, None]), expected, atol=1e-5, rtol=0)
    assert expected.std() > 0.1


def test_cross_attention_without_any_token_reads_all() -> None:
    attention = CrossAttention(12, 3, context_dim=8, kv_heads=1)
    randomise(attention)
    context = draw(2, 4, 8)
    none = torch.zeros(2, 4, dtype=torch.bool)
    output = attention(draw(2, 5, 12), attention.memory(context, none))
    torch.testing.assert_close(output, attention(draw(2, 5, 12), attention.memory(context)), atol=1e-6, rtol=0)
    assert output.std() > 0.1


@pytest.mark.parametrize("branch", [MLP(8), SwiGLU(8), SelfAttention(8, 2)])
def test_branches_begin_by_adding_nothing(branch: torch.nn.Module) -> None:
    assert torch.count_nonzero(branch(draw(2, 3, 8))) == 0
