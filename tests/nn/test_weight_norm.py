from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from helpers import randomise
from musegen.nn.weight_norm import Conv1d, Conv2d, ConvTranspose1d, WeightNormed

KINDS = [
    (lambda: Conv1d(4, 6, 7, dilation=3, padding=9), lambda: nn.Conv1d(4, 6, 7, dilation=3, padding=9), (2, 4, 40)),
    (lambda: ConvTranspose1d(4, 6, 8, 4, 2), lambda: nn.ConvTranspose1d(4, 6, 8, 4, 2), (2, 4, 10)),
    (lambda: Conv2d(4, 6, (9, 3), (2, 1), (1, 2)), lambda: _conv2d(), (2, 4, 20, 12)),
]


def _conv2d() -> nn.Module:
    return nn.Conv2d(4, 6, (9, 3), stride=(2, 1), dilation=(1, 2), padding=(4, 2))


@pytest.mark.parametrize(("ours", "theirs", "shape"), KINDS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_it_is_torchs_own_hook(ours, theirs, shape):
    layer = randomise(ours(), 1)
    reference = nn.utils.weight_norm(theirs())
    reference.load_state_dict(layer.state_dict())
    x = torch.randn(shape)
    output = layer(x)
    assert output.std() > 0.1
    torch.testing.assert_close(output, reference(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs", "shape"), KINDS)
def test_a_new_one_is_an_ordinary_convolution(ours, theirs, shape):
    torch.manual_seed(0)
    layer = ours()
    torch.manual_seed(0)
    ordinary = theirs()
    x = torch.randn(shape)
    torch.testing.assert_close(layer(x), ordinary(x))


@pytest.mark.parametrize(("ours", "theirs", "shape"), KINDS)
def test_folded_it_computes_and_saves_the_same(ours, theirs, shape):
    layer: WeightNormed = randomise(ours(), 2)  # type: ignore[assignment]
    assert (layer.weight_g < 0).any()  # the awkward case: a norm is positive
    x = torch.randn(shape)
    before = layer(x)
    layer.fold()
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-6)
    fresh = ours()
    fresh.load_state_dict(layer.state_dict())
    torch.testing.assert_close(fresh(x), before, rtol=0, atol=1e-6)


def test_loading_unfolds():
    layer, other = randomise(Conv1d(3, 3, 3), 1), randomise(Conv1d(3, 3, 3), 2)
    layer.fold()
    layer.load_state_dict(other.state_dict())
    x = torch.randn(1, 3, 9)
    torch.testing.assert_close(layer(x), other(x))
    assert all(parameter.requires_grad for parameter in layer.parameters())


def test_loading_unfolds_no_layer_that_was_frozen_before():
    layer = Conv1d(3, 3, 3)
    layer.weight_v.requires_grad_(False)
    layer.fold()
    layer.load_state_dict(layer.state_dict())
    assert [name for name, parameter in layer.named_parameters() if not parameter.requires_grad] == ["weight_v"]


def test_it_can_be_copied_after_a_backward_pass():
    layer = randomise(Conv1d(3, 3, 3), 1)
    layer(torch.randn(1, 3, 9)).sum().backward()
    assert torch.equal(copy.deepcopy(layer).weight_v, layer.weight_v)
