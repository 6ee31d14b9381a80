"""Layers in 8-bit floating point."""

from __future__ import annotations

import torch
from torch import nn

from musegen.nn.float8 import Float8Linear, to_float8, use_float8

GENERATOR = torch.Generator().manual_seed(1)


def test_rounded_products_stay_near() -> None:
    linear = nn.Linear(512, 384)
    x = torch.randn(3, 20, 512, generator=GENERATOR)
    expected = linear(x)
    found = Float8Linear(linear)(x)
    assert found.shape == expected.shape
    assert float((found - expected).norm() / expected.norm()) < 0.05
    assert not torch.equal(found, expected)


def test_every_row_has_its_own_scale() -> None:
    """A row among large ones is rounded as it would be alone."""
    linear = nn.Linear(64, 32, bias=False)
    layer = Float8Linear(linear)
    small, large = 1e-3 * torch.randn(1, 64, generator=GENERATOR), 1e3 * torch.randn(1, 64, generator=GENERATOR)
    together = layer(torch.cat([small, large]))
    torch.testing.assert_close(together[:1], layer(small))
    assert float((together[0] - linear(small)[0]).norm() / linear(small).norm()) < 0.06


def test_a_row_of_zeros_stays_one() -> None:
    rounded, scale = to_float8(torch.zeros(2, 8))
    assert float(rounded.float().abs().max()) == 0
    assert bool(scale.isfinite().all())


def test_only_large_layers_are_replaced() -> None:
    module = use_float8(nn.Sequential(nn.Linear(256, 512), nn.Sequential(nn.Linear(512, 256), nn.Linear(256, 64))))
    kinds = [type(layer).__name__ for layer in module.modules() if not isinstance(layer, nn.Sequential)]
    assert kinds == ["Float8Linear", "Float8Linear", "Linear"]
