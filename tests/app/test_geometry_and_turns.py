"""Moving on the sphere, and taking turns."""

from __future__ import annotations

import math
import threading
import time

import pytest
import torch
from torch.nn.functional import normalize

from musegen.app.work.geometry import around, between, combined, stops
from musegen.app.work.turns import Turns


def units(count: int, dim: int = 16) -> torch.Tensor:
    return normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(3)), dim=1)


def test_stops_lie_at_equal_angles_on_the_sphere() -> None:
    first, second = units(2)
    way = stops(first, second, 6)
    torch.testing.assert_close(way.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(way[0], first)
    torch.testing.assert_close(way[-1], second)
    angles = torch.arccos((way[1:] * way[:-1]).sum(1))
    torch.testing.assert_close(angles, angles[:1].expand(5), atol=1e-4, rtol=0)
    assert float(angles.sum()) == pytest.approx(math.acos(float(first @ second)), abs=1e-4)


def test_between_equal_and_opposite_points() -> None:
    (first,) = units(1)
    torch.testing.assert_close(between(first, first, 0.5), first)
    assert between(first, -first, 0.3).isfinite().all()


def test_variations_lie_at_the_angle_that_was_asked_for() -> None:
    (centre,) = units(1)
    made = around(centre, [1, 2, 3], 0.2)
    angles = torch.arccos(made @ centre)
    torch.testing.assert_close(angles, torch.full((3,), 0.2 * math.pi / 2), atol=1e-4, rtol=0)
    assert float((made[0] - made[1]).norm()) > 0.1, "each in its own direction"
    torch.testing.assert_close(around(centre, [2], 0.2)[0], made[1])
    torch.testing.assert_close(around(centre, [2], 0.0)[0], centre)


def test_sums() -> None:
    a, b, c = units(3)
    torch.testing.assert_close(combined([a, c], [b]), normalize(a - b + c, dim=0))
    with pytest.raises(ValueError, match="cancel out"):
        combined([a], [a])


def test_turns_go_round_the_users() -> None:
    turns, order, lock = Turns(), [], threading.Lock()

    def job(user: str, count: int) -> None:
        for _ in range(count):
            with turns.take(user):
                with lock:
                    order.append(user)
                time.sleep(0.01)

    with turns.take("first"):
        threads = [threading.Thread(target=job, args=each) for each in [("a", 8), ("a", 8), ("b", 3)]]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        assert turns.ahead("c") == 3
        assert turns.ahead("a") == 2
    for thread in threads:
        thread.join()
    assert order[:6] in (list("ababab"), list("bababa")), "a user with two jobs has no more turns than one with one"
    assert len(order) == 19


def test_a_turn_ends_when_its_work_fails() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError), turns.take("a"):
        raise RuntimeError
    with turns.take("b"):
        pass
