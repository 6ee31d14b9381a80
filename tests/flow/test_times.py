"""Time distributions by their quantiles, and the shift."""

from __future__ import annotations

import math

import pytest
import torch

from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.times import LogitNormal, Shifted, Uniform, shift_for_length, shift_times

QUANTILES = (torch.arange(10_000) + 0.5) / 10_000


def test_logit_normal_has_normal_log_odds() -> None:
    log_odds = torch.logit(LogitNormal(mean=-0.5, std=1.5).sample(QUANTILES).double())
    assert float(log_odds.mean()) == pytest.approx(-0.5, abs=1e-3)
    assert float(log_odds.std()) == pytest.approx(1.5, rel=2e-3)
    assert bool((log_odds.diff() > 0).all())


def test_shift_multiplies_the_noise_level_and_keeps_the_ends() -> None:
    time = torch.linspace(0, 1, 11, dtype=torch.double)
    shifted = shift_times(time, 3.0)
    assert (float(shifted[0]), float(shifted[-1])) == (0.0, 1.0)
    path = RectifiedFlow()
    torch.testing.assert_close(path.noise_level(shifted[1:-1]), 3 * path.noise_level(time[1:-1]))
    # the published form, in noise time
    noise_time = 1 - time
    torch.testing.assert_close(1 - shifted, 3 * noise_time / (1 + 2 * noise_time))


def test_shifted_distribution_moves_towards_noise() -> None:
    plain, shifted = Uniform().sample(QUANTILES), Shifted(Uniform(), 2.0).sample(QUANTILES)
    assert torch.equal(plain, QUANTILES)
    assert bool((shifted < plain).all())
    log_odds = torch.logit(Shifted(LogitNormal(), 2.0).sample(QUANTILES).double())
    assert float(log_odds.mean()) == pytest.approx(-math.log(2), abs=1e-3)
    assert Shifted(LogitNormal(), 2.0).config["init_args"]["distribution"]["init_args"] == {"mean": 0.0, "std": 1.0}
    assert shift_for_length(1024) == 2.0


@pytest.mark.parametrize("build", [lambda: LogitNormal(std=0.0), lambda: Shifted(Uniform(), 0.0)])
def test_impossible_settings_are_refused(build: object) -> None:
    with pytest.raises(ValueError, match="above 0"):
        build()  # type: ignore[operator]
