"""Losses, statistics, starts and checkpoints of a flow model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from musegen.conditioning.base import Conditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel, drop_tokens
from musegen.flow.noise import hash_seed, item_noise, training_noise, training_uniform
from musegen.flow.paths.base import Path
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.dopri5 import Dopri5
from musegen.flow.samplers.dpmpp_3m_sde import DPMPP3MSDE
from musegen.flow.samplers.euler import Euler
from musegen.flow.samplers.heun import Heun
from musegen.flow.samplers.pingpong import PingPong
from musegen.models.base import Condition, FlowNetwork
from small_flow import small_model, told


class Lines(Conditioner):
    """Two tokens of two numbers, as the batch gives them."""

    def __init__(self) -> None:
        super().__init__()
        self.dim, self.reads = 2, "lines"

    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
        return batch["lines"], batch["lines"][..., 0] > -5


class Perfect(FlowNetwork):
    """The field of standard normal data on a rectified flow, plus what its tokens say; knows what it was asked."""

    def __init__(self, frames: int = 6) -> None:
        super().__init__()
        self.shape, self.condition_dim, self.vector_dim = (3, frames), 2, 0
        self.gain = nn.Parameter(torch.ones(()))
        self.masks: list[Tensor | None] = []

    def prepare(self, condition: Condition) -> Tensor:
        return condition.tokens.sum((1, 2))

    def predict(self, x: Tensor, time: Tensor, prepared: Tensor, mask: Tensor | None = None) -> Tensor:
        self.masks.append(mask)
        alpha, sigma = time[:, None, None], 1 - time[:, None, None]
        field = (alpha - sigma) / (alpha**2 + sigma**2) * x
        return (self.gain * field + prepared[:, None, None]).to(x.dtype)

    def null(self, condition: Condition) -> Condition:
        mask = None if condition.mask is None else torch.zeros_like(condition.mask)
        return Condition(torch.zeros_like(condition.tokens), mask, condition.vector)


def perfect(path: Path | None = None) -> FlowModel:
    model = FlowModel(Perfect(), Conditioning({"lines": Lines()}, ["lines"]), path or RectifiedFlow())
    model.statistics.set(torch.tensor([1.0, -2.0, 0.5]), torch.tensor([2.0, 0.1, 1.0]))
    return model


def lines(*values: float) -> dict[str, Tensor]:
    return {"lines": torch.tensor(values)[:, None, None].expand(-1, 2, 2) / 4}


def test_the_uninformed_loss_is_measured_in_standardised_space() -> None:
    """On data of the stored statistics a perfect but uninformed network has loss π/2."""
    model, seeds = perfect(), torch.arange(20_000)
    noise, time = training_noise(seeds, (3, 6), 0), training_uniform(seeds)
    data = model.statistics.restore(training_noise(seeds, (3, 6), 1))
    losses = model.losses(data, model.condition(lines(*[0.0] * len(seeds))), time, noise)
    assert losses.shape == seeds.shape
    assert losses.dtype == torch.float32
    assert float(losses.detach().mean()) == pytest.approx(math.pi / 2, rel=0.01)


def test_padding_counts_nothing() -> None:
    model = perfect()
    data, noise = torch.randn(2, 2, 3, 6, generator=torch.Generator().manual_seed(0))
    condition, time = model.condition(lines(0.3, 0.4)), torch.tensor([0.3, 0.8])
    mask = torch.arange(6) < torch.tensor([[4], [6]])
    losses = model.losses(data, condition, time, noise, mask)
    short = model.losses(data[:1, :, :4], condition[:1], time[:1], noise[:1, :, :4])
    torch.testing.assert_close(losses[:1], short)
    torch.testing.assert_close(losses[1:], model.losses(data[1:], condition[1:], time[1:], noise[1:]))
    other = model.losses(torch.where(mask[:, None], data, 99.0), condition, time, noise, mask)
    torch.testing.assert_close(losses, other)
    assert model.network.masks[0] is mask


def test_dropped_items_are_told_the_null_and_keep_their_vector() -> None:
    model = perfect()
    data, noise = torch.randn(2, 3, 3, 6, generator=torch.Generator().manual_seed(0))
    time, drop = torch.tensor([0.3, 0.5, 0.8]), torch.tensor([True, False, True])
    told_losses = model.losses(data, model.condition(lines(1.0, 2.0, 3.0)), time, noise)
    null_losses = model.losses(data, model.condition(lines(0.0, 0.0, 0.0)), time, noise)
    losses = model.losses(data, model.condition(lines(1.0, 2.0, 3.0)), time, noise, drop=drop)
    assert torch.equal(losses, torch.where(drop, null_losses, told_losses))
    assert float((told_losses - null_losses).detach().abs().min()) > 0.1

    condition = Condition(torch.ones(3, 2, 2), torch.ones(3, 2, dtype=torch.bool), torch.randn(3, 4))
    dropped = drop_tokens(condition, Perfect().null(condition), drop)
    assert dropped.vector is condition.vector
    assert dropped.mask is not None
    assert dropped.mask[:, 0].tolist() == [False, True, False]


def test_a_learned_null_learns_when_items_are_dropped() -> None:
    model = small_model(RectifiedFlow(), null="learned")
    data, noise = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(0))
    drop = torch.tensor([False, True, False, False])
    model.losses(data, model.condition(told([1, 2, 3, 4])), torch.rand(4), noise, drop=drop).mean().backward()
    for key, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key
    assert float(model.network.null_token.grad.abs().sum()) > 0  # type: ignore[union-attr]


@pytest.mark.parametrize("sampler", [Heun(), Dopri5(1e-6, 1e-6)])
def test_samples_are_in_the_scale_of_the_data(sampler: Any) -> None:
    """For standard normal data the flow ends where it began: the result is the noise itself, restored."""
    model, seeds = perfect(), [4, 0, 8]
    drawn = item_noise(seeds, (3, 6), hash_seed("start", 3))
    samples = model.sample(model.condition(lines(0.0)), seeds, sampler=sampler, steps=200)
    torch.testing.assert_close(samples, model.statistics.restore(drawn), rtol=0, atol=2e-4)
    longer = model.sample(model.condition(lines(0.0)), seeds, sampler=sampler, steps=200, shape=(3, 9))
    torch.testing.assert_close(longer[..., :6], samples, rtol=0, atol=1e-5)
    given = model.sample(model.condition(lines(0.0)), None, x0=drawn, sampler=sampler, steps=200)
    assert torch.equal(given, samples)


@pytest.mark.parametrize("sampler", [PingPong(), DPMPP3MSDE()])
def test_given_noise_brings_its_own_stream(sampler: Any) -> None:
    """Without seeds, what is drawn on the way follows from an item's own x0 and not from its place."""
    model, x0 = perfect(), item_noise([1, 2, 3], (3, 6))
    together = model.sample(model.condition(lines(0.0)), None, x0=x0, sampler=sampler, steps=4)
    turned = model.sample(model.condition(lines(0.0)), None, x0=x0.flip(0), sampler=sampler, steps=4)
    assert torch.equal(turned.flip(0), together)
    assert float(together.std()) > 0.1


def test_conditions_guide_each_item() -> None:
    model, seeds = perfect(), [1, 2]
    settings: dict[str, Any] = {"sampler": Euler(), "steps": 8}
    condition = model.condition(lines(0.0, 1.0))
    plain = model.sample(condition, [1, 1], **settings)
    guided = model.sample(condition, [1, 1], guidance=ClassifierFree(3.0), **settings)
    assert float((plain[0] - plain[1]).abs().max()) > 0.1
    torch.testing.assert_close(guided[0], plain[0])
    assert float((guided[1] - plain[0]).mean() / (plain[1] - plain[0]).mean()) == pytest.approx(3.0, rel=1e-4)
    negative = model.condition(lines(1.0))
    away = model.sample(condition, seeds, guidance=ClassifierFree(3.0), unconditional=negative, **settings)
    nothing = model.sample(condition, seeds, guidance=ClassifierFree(1.0), **settings)
    torch.testing.assert_close(away[1], nothing[1])
    assert float((away[0] - nothing[0]).abs().max()) > 0.1


@pytest.mark.parametrize("path", [RectifiedFlow(), CosinePath()])
def test_a_start_stays_the_more_the_later_it_is(path: Path) -> None:
    model, seeds = perfect(path), [1, 2]
    start = model.statistics.restore(torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(9)))
    differences = []
    for start_time in (0.1, 0.5, 0.999):
        varied = model.sample(
            model.condition(lines(0.0)), seeds, sampler=Euler(), steps=20, start=start, start_time=start_time
        )
        differences.append(float((model.statistics.standardise(varied) - model.statistics.standardise(start)).std()))
    assert differences[0] > differences[1] > differences[2]
    assert differences[0] > 0.5
    assert differences[2] < 0.01
    one = model.sample(model.condition(lines(0.0)), seeds, sampler=Euler(), steps=3, start=start[:1], start_time=0.5)
    each = start[[0, 0]]
    assert torch.equal(
        one, model.sample(model.condition(lines(0.0)), seeds, sampler=Euler(), steps=3, start=each, start_time=0.5)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_state_is_float32_whatever_the_network_is(dtype: torch.dtype) -> None:
    model = small_model(RectifiedFlow(), normalise_output=True)
    condition = model.condition(told([1, 2]), one_by_one=True).map(torch.detach)
    settings: dict[str, Any] = {"sampler": Heun(), "steps": 8, "guidance": ClassifierFree(2.0)}
    exact = model.sample(condition, [1, 2], **settings)
    model.network.to(dtype)
    samples = model.sample(condition, [1, 2], **settings)
    assert samples.dtype == torch.float32
    torch.testing.assert_close(samples.norm(dim=1), torch.ones(2))
    assert float(torch.cosine_similarity(samples, exact).min()) > (0.99 if dtype == torch.bfloat16 else 0.999999)


def test_one_by_one_conditions_are_the_same_numbers() -> None:
    model = small_model(RectifiedFlow())
    together, alone = model.condition(told([1, 2, 3])), model.condition(told([1, 2, 3]), one_by_one=True)
    torch.testing.assert_close(together.tokens, alone.tokens)
    assert torch.equal(model.condition(told([3]), one_by_one=True).tokens[0], alone.tokens[2])


@pytest.mark.parametrize("lane", [1, 2, 4])
def test_progress_counts_steps_over_items(lane: int) -> None:
    model, calls = perfect(), []
    model.sample(
        model.condition(lines(0.0)),
        [1, 2, 3],
        sampler=Euler(),
        steps=4,
        lane=lane,
        progress=lambda done, total: calls.append((done, total)),
    )
    assert calls[-1] == (12, 12)
    assert [total for _, total in calls] == [12] * len(calls)
    assert calls == sorted(set(calls))


def test_state_dict_and_recipe() -> None:
    model = small_model(CosinePath(), normalise_output=True)
    assert {key.split(".")[0] for key in model.state_dict()} == {"network", "conditioning", "statistics"}
    assert model.config["class_path"] == "musegen.flow.model.FlowModel"
    arguments = model.config["init_args"]
    assert arguments["path"] == {"class_path": "musegen.flow.paths.cosine.CosinePath", "init_args": {}}
    assert arguments["network"]["init_args"]["embedding_dim"] == 32
    assert (arguments["normalise_output"], arguments["isotropic"]) == (True, False)


@pytest.mark.parametrize(
    ("seeds", "options", "message"),
    [
        (None, {}, "seeds: expected one for each item"),
        ([], {}, "got 2 conditions, 0 seeds and no x0"),
        ([1, 2, 3], {}, "got 2 conditions, 3 seeds"),
        ([1, 2], {"x0": torch.zeros(3, 3, 6)}, "got 2 conditions, 2 seeds and 3 x0"),
        (None, {"x0": torch.zeros(2, 3, 7)}, r"x0: expected shape \[2, 3, 6\], got \[2, 3, 7\]"),
        ([1, 2], {"start": torch.zeros(2, 3, 6)}, "start_time: expected one above 0 with start"),
        ([1, 2], {"start_time": 0.5}, "start_time: expected one above 0 with start"),
        ([1, 2], {"start": torch.zeros(2, 3, 6), "start_time": 1.0}, "a start time is"),
        ([1, 2], {"lane": 0}, "lane is auto"),
        ([1, 2], {"steps": 0}, "steps is at least 1"),
        ([1, -2], {}, "a seed is an integer"),
    ],
)
def test_requests_that_cannot_be(seeds: list[int] | None, options: dict[str, Any], message: str) -> None:
    model = perfect()
    with pytest.raises(ValueError, match=message):
        model.sample(model.condition(lines(0.0, 0.0)), seeds, **{"sampler": Euler(), "steps": 2, **options})


def test_as_many_unconditional_conditions_as_items_or_one() -> None:
    model = small_model(RectifiedFlow())
    three, five = (model.condition(told(list(range(items)))) for items in (3, 5))
    for unconditional in (five, three[:2]):
        with pytest.raises(ValueError, match=r"unconditional: expected 1 or 3, .* got [25]"):
            model.sample(three, [1, 2, 3], sampler=Euler(), steps=1, unconditional=unconditional)


def test_a_network_is_told_one_condition_for_each_item() -> None:
    model = small_model(RectifiedFlow())
    condition = model.condition(told([1]))
    with pytest.raises(ValueError, match="condition: expected 3, one for each item, got 1"):
        model.network(torch.randn(3, 32), torch.rand(3), condition)
