from __future__ import annotations

import pytest
import torch

from musegen.stages.schedules import InverseLR, WarmUpCosine


def rates(schedule: type, count: int, /, **arguments: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    scheduler = schedule(optimizer, **arguments)
    found = []
    for _ in range(count):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_warm_up_cosine_rises_holds_and_falls() -> None:
    found = rates(WarmUpCosine, 101, steps=100, warm_up=10, decay_from=0.5, floor=0.1)
    assert found[0] == pytest.approx(0.2)
    assert found[10] == found[40] == 2.0
    assert found[75] == pytest.approx(1.1)
    assert found[100] == pytest.approx(0.2)


def test_inverse_lr_halves_where_it_should() -> None:
    found = rates(InverseLR, 301, inv_gamma=100, power=1.0, warm_up=0.0)
    assert found[0] == 2.0
    assert found[100] == pytest.approx(1.0)
    assert found[300] == pytest.approx(0.5)
    assert rates(InverseLR, 1, warm_up=0.99)[0] == pytest.approx(0.02)
