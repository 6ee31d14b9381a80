"""However evaluations are run, what is sampled is the same."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import randomise
from musegen.flow.execution.base import Execution
from musegen.flow.execution.compiled import Compiled
from musegen.flow.execution.eager import Eager
from musegen.flow.execution.graph import Graph
from musegen.flow.execution.recording import Recording
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.guidance.interval import Interval
from musegen.flow.guided import GuidedPrediction
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.base import Condition, FlowNetwork
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer

ITEMS = 3


def embedding_transformer(null: str) -> FlowNetwork:
    network = EmbeddingTransformer(
        dim=32,
        depth=2,
        heads=2,
        embedding_dim=24,
        embedding_tokens=3,
        text_dim=20,
        null=null,  # type: ignore[arg-type]
    )
    return randomise(network)  # type: ignore[return-value]


def diffusion_transformer(qk_norm: str, **options: Any) -> FlowNetwork:
    network = DiffusionTransformer(
        channels=4,
        frames=10,
        dim=64,
        depth=2,
        heads=4,
        condition_dim=32,
        vector_dim=12,
        qk_norm=qk_norm,  # type: ignore[arg-type]
        **options,
    )
    return randomise(network)  # type: ignore[return-value]


NETWORKS = {
    "embedding, zero null": lambda: embedding_transformer("zero"),
    "embedding, learned null": lambda: embedding_transformer("learned"),
    "latents": lambda: diffusion_transformer("none"),
    "latents, normalised keys": lambda: diffusion_transformer("layer"),
    "latents, modulated": lambda: diffusion_transformer("layer", modulated=True, pool_condition=True),
    "latents, pooled into a token": lambda: diffusion_transformer("none", pool_condition=True),
}


class Rerun(Graph):
    """A graph's buffers without a GPU: the recorded function runs again on them."""

    def prepare(self, network: FlowNetwork) -> None:
        """Record wherever the network is."""
        super().prepare(network)
        self.recorded = True


EXECUTIONS = {
    "eager": Eager(),
    "graph, which falls back": Graph(),
    "static buffers": Rerun(),
    "few static buffers": Rerun(keep=1),
    "compiled": Compiled(backend="aot_eager"),
}


def told(network: FlowNetwork, seed: int = 0) -> Condition:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(ITEMS, 5, network.condition_dim, generator=generator)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    vector = torch.randn(ITEMS, network.vector_dim, generator=generator) if network.vector_dim else None
    return Condition(tokens, mask, vector)


def evaluate(network: FlowNetwork, execution: Execution | None, seed: int = 0) -> list[Tensor]:
    """One generation with a time outside of the guidance's interval, two inside, one outside."""
    guidance = Interval(ClassifierFree(3.0), 0.2, 0.8)
    predict = GuidedPrediction(network, RectifiedFlow(), told(network, seed), None, guidance, execution)
    generator = torch.Generator().manual_seed(seed + 1)
    x = torch.randn(4, ITEMS, *network.shape, generator=generator)
    with torch.inference_mode():
        times = (torch.tensor(time, dtype=torch.float64) for time in (0.1, 0.3, 0.7, 0.9))
        return [predict(noisy, time) for noisy, time in zip(x, times, strict=True)]


@pytest.mark.parametrize("execution", EXECUTIONS.values(), ids=EXECUTIONS)
@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_every_execution_predicts_the_same(build, execution: Execution) -> None:
    plain, network = build(), build()
    execution.prepare(network)
    for seed in (0, 1, 0):
        expected = torch.stack(evaluate(plain, None, seed))
        assert expected.std() > 0.1
        torch.testing.assert_close(torch.stack(evaluate(network, execution, seed)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_generations_may_take_turns(build) -> None:
    network, execution = build(), Rerun()
    execution.prepare(network)
    first, second = (
        GuidedPrediction(network, RectifiedFlow(), told(network, seed), None, ClassifierFree(2.0), execution)
        for seed in (0, 1)
    )
    x, time = torch.randn(ITEMS, *network.shape), torch.tensor(0.4)
    with torch.no_grad():
        alone = first(x, time), second(x, time)
        again = first(x, time), second(x, time)
    assert torch.equal(torch.stack(alone), torch.stack(again))
    assert not torch.allclose(*alone)


def test_each_time_its_own_for_each_item() -> None:
    network, execution = NETWORKS["latents"](), Rerun()
    execution.prepare(network)
    x, times = torch.randn(ITEMS, *network.shape), torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    predictions = [
        GuidedPrediction(network, RectifiedFlow(), told(network), None, ClassifierFree(), chosen)(x, times)
        for chosen in (None, execution)
    ]
    torch.testing.assert_close(*predictions, rtol=1e-4, atol=1e-4)


def test_results_are_not_overwritten() -> None:
    recording = Recording(lambda x, both: x + both[0], (torch.zeros(2), (torch.ones(2), None)), None)
    recording.write(0, torch.tensor([1.0, 2.0]))
    assert recording.replay().tolist() == [2.0, 3.0]
    network, execution = NETWORKS["latents"](), Rerun()
    execution.prepare(network)
    first, *_, last = evaluate(network, execution)
    assert first.data_ptr() != last.data_ptr()


def test_without_a_gpu_a_graph_says_that_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Graph().prepare(NETWORKS["latents"]())
    assert [record.message for record in caplog.records] == ["no CUDA graphs on cpu: running as written"]


def test_an_unconditional_half_without_cross_attention_is_exact() -> None:
    """The null of the latents' network adds exact zeros: what is left out changes no bit of it."""
    network = NETWORKS["latents, normalised keys"]()
    x, times, condition = torch.randn(2 * ITEMS, *network.shape), torch.rand(2 * ITEMS), told(network)
    with torch.no_grad():
        whole = network.predict(x, times, network.prepare(Condition.concatenate([condition, network.null(condition)])))
        skipped = network.predict(x, times, network.prepare_with_null(condition))
    torch.testing.assert_close(skipped, whole, rtol=1e-5, atol=1e-5)
