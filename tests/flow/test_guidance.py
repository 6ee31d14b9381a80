"""The algebra of guidance, and what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from musegen.flow.guidance.adaptive_projected import AdaptiveProjected
from musegen.flow.guidance.base import Guidance, Moment
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.guidance.interval import Interval
from musegen.flow.guidance.rescaled import Rescaled
from musegen.flow.guided import GuidedPrediction, join
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.base import Condition
from small_flow import small_model, told

PATHS = [RectifiedFlow(), CosinePath()]
GENERATOR = torch.Generator().manual_seed(2)
CONDITIONAL, UNCONDITIONAL, X = torch.randn(3, 4, 6, 5, generator=GENERATOR)
TIMES = torch.tensor([0.0, 0.3, 0.7, 1.0])


def name(path: Path) -> str:
    return type(path).__name__


def combine(guidance: Guidance, path: Path | None = None, time: Tensor = TIMES, memory: dict | None = None) -> Tensor:
    moment = Moment(X, time, path or RectifiedFlow(), {} if memory is None else memory)
    return guidance.combine(CONDITIONAL, UNCONDITIONAL, moment)


def test_plain_guidance_is_linear_in_its_scale() -> None:
    torch.testing.assert_close(combine(ClassifierFree(0.0)), UNCONDITIONAL)
    torch.testing.assert_close(combine(ClassifierFree(1.0)), CONDITIONAL)
    expected = 4 * CONDITIONAL - 3 * UNCONDITIONAL
    torch.testing.assert_close(combine(ClassifierFree(4.0)), expected)
    assert ClassifierFree().scale == 3.0


def test_rescaled_ends_at_plain_guidance_and_at_the_conditional_spread() -> None:
    torch.testing.assert_close(combine(Rescaled(4.0, 0.0)), combine(ClassifierFree(4.0)))
    rescaled = combine(Rescaled(4.0, 1.0))
    torch.testing.assert_close(rescaled.flatten(1).std(1), CONDITIONAL.flatten(1).std(1))
    assert bool((combine(ClassifierFree(4.0)).flatten(1).std(1) > 2 * CONDITIONAL.flatten(1).std(1)).all())
    middle = combine(Rescaled(4.0, 0.3))
    torch.testing.assert_close(middle, 0.3 * rescaled + 0.7 * combine(ClassifierFree(4.0)))


@pytest.mark.parametrize("path", PATHS, ids=name)
def test_projected_guidance_becomes_plain_guidance(path: Path) -> None:
    torch.testing.assert_close(combine(AdaptiveProjected(4.0, eta=1.0), path), combine(ClassifierFree(4.0), path))


@pytest.mark.parametrize("path", PATHS, ids=name)
@pytest.mark.parametrize("eta", [0.0, 0.4])
@pytest.mark.parametrize("threshold", [None, 2.5])
def test_projected_guidance_against_its_definition(path: Path, eta: float, threshold: float | None) -> None:
    """As the paper writes it, on the expected data, item by item in float64."""
    ours = path.denoised(combine(AdaptiveProjected(4.0, eta, threshold), path), X, TIMES)
    told, untold = path.denoised(CONDITIONAL, X, TIMES), path.denoised(UNCONDITIONAL, X, TIMES)
    for item in range(4):
        data, difference = told[item].double().flatten(), (told[item] - untold[item]).double().flatten()
        if threshold is not None:
            difference = difference * min(1.0, threshold / max(float(difference.norm()), 1e-12))
        along = (difference @ data) / (data @ data) * data
        expected = data + 3 * (difference - along + eta * along)
        torch.testing.assert_close(ours[item].double().flatten(), expected, rtol=0, atol=2e-5)


def test_momentum_adds_the_running_difference() -> None:
    path, time = RectifiedFlow(), torch.tensor([0.5] * 4)
    memory: dict[str, Any] = {}
    guidance = AdaptiveProjected(4.0, eta=1.0, momentum=-0.5)
    first = combine(guidance, path, time, memory)
    torch.testing.assert_close(first, combine(ClassifierFree(4.0), path))
    second = combine(guidance, path, time, memory)
    torch.testing.assert_close(second, CONDITIONAL + 3 * 0.5 * (CONDITIONAL - UNCONDITIONAL))
    assert bool(combine(guidance, path, torch.ones(4), memory).isfinite().all())


def test_interval_guides_inside_only() -> None:
    interval = Interval(ClassifierFree(4.0), 0.25, 0.75)
    guided = combine(ClassifierFree(4.0))
    mixed = combine(interval)
    assert torch.equal(mixed[1:3], guided[1:3])
    assert torch.equal(mixed[[0, 3]], CONDITIONAL[[0, 3]])
    assert [interval.needs_unconditional(time) for time in TIMES] == [False, True, True, False]
    assert not Interval(ClassifierFree(1.0), 0.0, 1.0).needs_unconditional(TIMES[1])


@pytest.mark.parametrize(
    "guidance", [ClassifierFree(4.0), Rescaled(4.0), AdaptiveProjected(4.0, 0.2, 1.0, -0.5), Interval(Rescaled())]
)
def test_items_do_not_see_each_other(guidance: Guidance) -> None:
    together = combine(guidance)
    for item in range(4):
        one = slice(item, item + 1)
        alone = guidance.combine(CONDITIONAL[one], UNCONDITIONAL[one], Moment(X[one], TIMES[one], RectifiedFlow()))
        torch.testing.assert_close(alone[0], together[item], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Rescaled(rescale=1.5),
        lambda: AdaptiveProjected(threshold=0.0),
        lambda: AdaptiveProjected(momentum=1.0),
        lambda: Interval(ClassifierFree(), 0.8, 0.2),
    ],
)
def test_impossible_settings(build: Any) -> None:
    with pytest.raises(ValueError, match="got"):
        build()


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """A network that writes down what it is asked."""
    network, calls = small_model(RectifiedFlow(), null="learned").network, []
    prepare, predict = network.prepare, network.predict
    monkeypatch.setattr(network, "prepare", lambda told: calls.append(f"prepare {len(told)}") or prepare(told))
    monkeypatch.setattr(
        network,
        "predict",
        lambda x, time, prepared, mask=None: calls.append(f"predict {len(x)}") or predict(x, time, prepared, mask),
    )
    return network, calls


@torch.no_grad()
def test_one_forward_of_twice_the_batch_and_half_of_it_where_that_is_enough(watched: tuple[Any, list[str]]) -> None:
    network, calls = watched
    condition, path = small_model(RectifiedFlow()).condition(told([1, 2, 3])), RectifiedFlow()
    x, shared = torch.randn(3, 32, generator=torch.Generator().manual_seed(0)), [torch.tensor(t) for t in (0.1, 0.5)]
    guided = GuidedPrediction(network, path, condition, None, Interval(ClassifierFree(2.0), 0.3, 0.6))
    results = [guided(x, time) for time in (*shared, *shared)]
    assert calls == ["prepare 3", "predict 3", "prepare 6", "predict 6", "predict 3", "predict 6"]
    assert torch.equal(results[0], results[2])

    times = [time.expand(3) for time in shared]
    conditional = [network.forward(x, time, condition) for time in times]
    unconditional = [network.forward(x, time, network.null(condition)) for time in times]
    torch.testing.assert_close(results[0], conditional[0])
    torch.testing.assert_close(results[1], 2 * conditional[1] - unconditional[1], rtol=1e-4, atol=1e-5)
    assert float((conditional[1] - unconditional[1]).std()) > 0.1

    # items that keep different times run together, whoever is inside
    calls.clear()
    mixed = guided(x, torch.tensor([0.1, 0.5, 0.1]))
    assert calls == ["predict 6"]
    torch.testing.assert_close(mixed[[0, 2]], results[0][[0, 2]], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mixed[1], results[1][1], rtol=1e-4, atol=1e-5)

    calls.clear()
    for guidance in (None, ClassifierFree(1.0), Rescaled(1.0), AdaptiveProjected(1.0)):
        GuidedPrediction(network, path, condition, None, guidance)(x, shared[0])
    assert calls == ["prepare 3", "predict 3"] * 4


@torch.no_grad()
def test_a_negative_condition_for_all_or_for_each() -> None:
    model, path = small_model(RectifiedFlow()), RectifiedFlow()
    condition, negative = model.condition(told([1, 2])), model.condition(told([9]))
    x, time = torch.randn(2, 32, generator=torch.Generator().manual_seed(0)), torch.tensor(0.4)
    one = GuidedPrediction(model.network, path, condition, negative, ClassifierFree(3.0))(x, time)
    each = GuidedPrediction(model.network, path, condition, negative[[0, 0]], ClassifierFree(3.0))(x, time)
    assert torch.equal(one, each)
    plain = GuidedPrediction(model.network, path, condition, None, ClassifierFree(3.0))(x, time)
    assert float((plain - one).std()) > 0.1


def test_conditions_that_do_not_fit() -> None:
    condition = Condition(torch.ones(2, 3, 4), None, torch.ones(2, 5))
    mask = torch.tensor([[True, False, False]])
    joined = join(condition, Condition(torch.zeros(1, 3, 4), mask, torch.ones(1, 5)))
    assert joined.mask is not None
    assert joined.mask.tolist() == [[True] * 3] * 2 + [[True, False, False]] * 2
    with pytest.raises(ValueError, match=r"\[2, 3, 4\]"):
        join(condition, Condition(torch.zeros(2, 7, 4), None, torch.ones(2, 5)))
    with pytest.raises(ValueError, match="global vector"):
        join(condition, Condition(torch.zeros(2, 3, 4)))
