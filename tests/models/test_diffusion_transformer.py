"""What holds for the diffusion transformer alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from musegen.models.diffusion_transformer import DiffusionTransformer
from networks import FRAMES, diffusion_transformer, inputs

REAL = FRAMES - 7


@pytest.fixture
def masked() -> torch.Tensor:
    """Three items with FRAMES, REAL and REAL real frames."""
    return torch.arange(FRAMES) < torch.tensor([FRAMES, REAL, REAL])[:, None]


@pytest.mark.parametrize(
    "arguments", [{"qk_norm": "none"}, {"qk_norm": "layer"}, {"modulated": True, "pool_condition": True}]
)
def test_padding_frames_cannot_influence_real_ones(masked: torch.Tensor, arguments: dict[str, Any]) -> None:
    net = diffusion_transformer(**arguments)
    x, time, condition = inputs(net)
    other = torch.where(masked[:, None], x, torch.randn_like(x))
    with torch.no_grad():
        output, again = net(x, time, condition, masked), net(other, time, condition, masked)
        assert torch.equal(output.masked_select(masked[:, None]), again.masked_select(masked[:, None]))
        unmasked = net(other, time, condition)
        assert (unmasked - net(x, time, condition))[1, :, :REAL].abs().max() > 0.01


@pytest.mark.parametrize("modulated", [False, True])
def test_a_padded_item_is_the_short_item(masked: torch.Tensor, modulated: bool) -> None:
    net = diffusion_transformer(modulated=modulated)
    x, time, condition = inputs(net)
    with torch.no_grad():
        padded = net(x, time, condition, masked)[1:2, :, :REAL]
        short = net(x[1:2, :, :REAL], time[1:2], condition[1:2])
    assert short.std() > 0.1
    torch.testing.assert_close(padded, short, atol=1e-5, rtol=0)


def test_a_mask_of_real_frames_changes_nothing() -> None:
    net = diffusion_transformer()
    x, time, condition = inputs(net)
    with torch.no_grad():
        everything = net(x, time, condition, torch.ones(len(x), FRAMES, dtype=torch.bool))
        torch.testing.assert_close(everything, net(x, time, condition), atol=1e-5, rtol=0)


def test_padding_frames_get_no_gradient(masked: torch.Tensor) -> None:
    net = diffusion_transformer()
    x, time, condition = inputs(net)
    x.requires_grad_()
    (net(x, time, condition, masked) * masked[:, None]).square().sum().backward()
    assert x.grad is not None
    assert x.grad.masked_select(~masked[:, None]).abs().max() == 0
    assert x.grad.masked_select(masked[:, None]).abs().min() > 0


def test_frames_know_their_order() -> None:
    net = diffusion_transformer()
    x, time, condition = inputs(net)
    with torch.no_grad():
        assert (net(x.flip(2), time, condition).flip(2) - net(x, time, condition)).abs().max() > 0.1


def test_the_published_network_reads_padding_of_the_text_as_zeros() -> None:
    net, masking = diffusion_transformer(), diffusion_transformer(mask_condition=True)
    x, time, condition = inputs(net)
    with torch.no_grad():
        padded = net(x, time, condition)
        assert torch.equal(padded, net(x, time, type(condition)(condition.tokens, None, condition.vector)))
        assert (masking(x, time, condition) - padded)[1:].abs().max() > 0.01


def test_the_global_vector_matters_and_may_be_absent() -> None:
    net = diffusion_transformer()
    x, time, condition = inputs(net)
    with torch.no_grad():
        other = type(condition)(condition.tokens, condition.mask, condition.vector.flip(0))
        assert (net(x, time, other) - net(x, time, condition)).abs().max() > 0.01
    without = diffusion_transformer(vector_dim=0)
    assert "to_global_embed.0.weight" not in without.state_dict()
    with torch.no_grad():
        assert without(*inputs(without)).std() > 0.1


@pytest.mark.parametrize("modulated", [False, True])
def test_pooled_tokens_speak_where_cross_attention_is_deaf(modulated: bool) -> None:
    net = diffusion_transformer(pool_condition=True, modulated=modulated)
    for block in net.transformer.layers:
        torch.nn.init.zeros_(block.cross_attn.to_out.weight)
    x, time, condition = inputs(net)
    with torch.no_grad():
        told, untold = net(x, time, condition), net(x, time, net.null(condition))
        assert (told - untold).abs().max() > 0.01
        both = net.predict(x.repeat(2, 1, 1), time.repeat(2), net.prepare_with_null(condition))
    torch.testing.assert_close(both, torch.cat((told, untold)), atol=1e-5, rtol=0)


def test_pooling_alone_needs_no_global_vector() -> None:
    net = diffusion_transformer(pool_condition=True, vector_dim=0)
    x, time, condition = inputs(net)
    with torch.no_grad():
        both = net.predict(x.repeat(2, 1, 1), time.repeat(2), net.prepare_with_null(condition))
        apart = torch.cat((net(x, time, condition), net(x, time, net.null(condition))))
    torch.testing.assert_close(both, apart, atol=1e-5, rtol=0)


def test_modulation_begins_as_none_at_all_but_for_its_gates() -> None:
    net = DiffusionTransformer(8, FRAMES, 128, 2, 2, 64, 48, modulated=True)
    modulation = net.transformer.global_cond_embedder
    assert modulation is not None
    assert modulation(torch.randn(2, 128)).abs().max() == 0
    memory = net.transformer.layers.memories(torch.randn(2, 3, 64), None)
    with pytest.raises(ValueError, match="modulation: expected one for each item"):
        net.transformer.layers(torch.randn(2, 5, 128), memory)


@pytest.mark.parametrize(
    "arguments",
    [
        {"dim": 256, "depth": 4, "heads": 4, "condition_dim": 384, "project_condition": True},
        {"dim": 256, "depth": 4, "heads": 8, "condition_dim": 384, "kv_heads": 2},
        {"dim": 64, "depth": 2, "heads": 4, "condition_dim": 32},
        {"dim": 64, "depth": 2, "heads": 2, "condition_dim": 32, "modulated": True, "pool_condition": True},
    ],
    ids=["projected", "grouped", "narrow heads", "modulated"],
)
def test_small_members(arguments: dict[str, Any]) -> None:
    net = diffusion_transformer(**arguments)
    with torch.no_grad():
        assert net(*inputs(net)).std() > 0.1


def test_grouped_heads_equal_repeated_ones() -> None:
    grouped = diffusion_transformer(heads=4, condition_dim=64, kv_heads=2)
    full = diffusion_transformer(heads=4, condition_dim=64, kv_heads=4)
    state = grouped.state_dict()
    for key, value in state.items():
        if key.endswith("cross_attn.to_kv.weight"):
            heads = value.unflatten(0, (2, 2, 32)).repeat_interleave(2, dim=1)
            state[key] = heads.flatten(0, 2)
    full.load_state_dict(state, strict=True)
    with torch.no_grad():
        torch.testing.assert_close(full(*inputs(full)), grouped(*inputs(full)), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": 5}, "heads: expected a divisor of dim 128, got 5"),
        ({"heads": 4, "kv_heads": 3}, "kv_heads: expected a divisor of heads 4, got 3"),
        ({"condition_dim": 32}, "kv_heads: expected a divisor of heads 2, got 0"),
        ({"qk_norm": "ln"}, "qk_norm: expected 'none' or 'layer', got 'ln'"),
        ({"time_features": 9}, "features: expected an even number, got 9"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        diffusion_transformer(**arguments)
