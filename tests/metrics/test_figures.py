"""Intervals, against what is known exactly."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from musegen.metrics.figures import Estimate, Figure, interval, mean_of, resamples, statistic_of


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution() -> None:
    scores = np.random.Generator(np.random.Philox(3)).normal(2.0, 1.0, 400)
    found = mean_of(scores, draws=4000)
    half = 1.96 * scores.std() / 20
    assert found.value == pytest.approx(scores.mean())
    assert found.low == pytest.approx(scores.mean() - half, abs=0.015)
    assert found.high == pytest.approx(scores.mean() + half, abs=0.015)
    assert found.count == 400


def test_clips_of_one_caption_are_no_independent_evidence() -> None:
    scores = np.repeat([0.0, 1.0] * 10, 25)
    apart = mean_of(scores)
    together = mean_of(scores, np.repeat(np.arange(20), 25))
    assert apart.value == together.value == 0.5
    assert together.high - together.low > 4 * (apart.high - apart.low)


def test_clips_without_a_score_are_left_out() -> None:
    found = mean_of([1.0, math.nan, 0.0, math.nan])
    assert (found.value, found.count) == (0.5, 2)
    nothing = mean_of([math.nan])
    assert nothing.count == 0
    assert math.isnan(nothing.value)
    assert math.isnan(mean_of([1.0]).low)


def test_a_statistic_is_drawn_by_groups() -> None:
    values = np.arange(10.0)
    found = statistic_of(lambda drawn: float(values[drawn].max()), list("aabbccddee"))
    assert found.value == 9
    assert found.low <= 9 == found.high
    assert {float(values[drawn].max()) for drawn in resamples(10, 100)} <= set(values)
    assert all(math.isnan(end) for end in interval(np.array([1.0]), 1))


def test_figures_are_json_without_nan() -> None:
    figure = Figure("tempo", "tempo", Estimate(0.5), Estimate(0.8, 0.7, 0.9, 10), better="higher")
    said = json.loads(json.dumps(figure.as_json(), allow_nan=False))
    assert said["of_ceiling"] == pytest.approx(0.625)
    assert "low" not in said["ours"]
    assert said["ceiling"] == {"value": 0.8, "low": 0.7, "high": 0.9, "count": 10}
    assert "chance" not in said
    assert Figure("x", "x", Estimate(math.inf)).as_json()["ours"]["value"] is None


def test_estimates_read_well() -> None:
    assert str(Estimate(0.512, 0.4, 0.6, 9)) == "0.51 [0.40, 0.60]"
    assert str(Estimate(123.4)) == "123"
