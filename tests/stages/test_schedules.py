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


def schedule(steps: int) -> WarmUpCosine:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    return WarmUpCosine(optimizer, steps, warm_up=10, floor=0.1)


def walked(scheduler: WarmUpCosine, steps: int) -> list[float]:
    """The learning rates of so many steps."""
    found = []
    for _ in range(steps):
        found.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return found


def resumed(before: WarmUpCosine, steps: int) -> WarmUpCosine:
    after = schedule(steps)
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    after.load_state_dict(before.state_dict())
    return after


@pytest.mark.parametrize("steps", [100, 300, 60])
def test_a_run_that_goes_on_ends_where_it_is_told_now(steps: int) -> None:
    before = schedule(100)
    walked(before, 50)
    after = resumed(before, steps)
    assert after.get_last_lr() == [after.optimizer.param_groups[0]["lr"]]
    assert walked(after, 30) == walked(schedule(steps), 80)[50:]
    assert resumed(after, steps).steps == steps


def test_a_checkpoint_of_an_earlier_version_is_read() -> None:
    before = schedule(100)
    walked(before, 50)
    state = before.state_dict()
    state["steps"] = state.pop("_steps")
    after = schedule(300)
    after.load_state_dict(state)
    assert walked(after, 3) == walked(schedule(300), 53)[50:]
