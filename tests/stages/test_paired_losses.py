from __future__ import annotations

import pytest
import torch

from musegen.stages.paired_losses import PairedLosses


def test_it_reports_the_gain_in_standard_errors() -> None:
    generator = torch.Generator().manual_seed(0)
    losses = PairedLosses()
    true, difference = torch.rand(400, generator=generator), 0.1 + 0.2 * torch.randn(400, generator=generator)
    for part in torch.arange(400).split(64):
        losses.add(true[part], (true + difference)[part])
    summary = losses.summary(lambda sums: sums, floor=1.0)
    assert summary["loss"] == pytest.approx(true.mean().item(), 1e-5)
    assert summary["gain"] == pytest.approx(difference.mean().item(), 1e-4)
    assert summary["gain_sigmas"] == pytest.approx((difference.mean() / difference.std() * 20).item(), 1e-3)
    assert summary["explained"] == pytest.approx(1 - summary["loss"])


def test_processes_are_joined() -> None:
    losses = PairedLosses()
    losses.add(torch.ones(4), torch.ones(4))
    one = losses.summary(lambda sums: sums, None)
    two = losses.summary(lambda sums: torch.stack([sums, sums]), None)
    assert two["loss"] == one["loss"] == 1.0


def test_a_batch_of_one_has_no_permutation() -> None:
    losses = PairedLosses()
    losses.add(torch.ones(1), None)
    assert losses.summary(lambda sums: sums, None) == {"loss": 1.0}
