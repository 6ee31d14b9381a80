"""Which execution a network gets, what it falls back to, and what a fingerprint says of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch

from helpers import randomise
from musegen.flow.execution import choice
from musegen.flow.execution.choice import COMPILING_PAYS, arithmetic, prepare_execution, resolve
from musegen.flow.execution.compiled import Compiled, compile_blocks
from musegen.flow.execution.compiled_whole import CompiledWhole
from musegen.flow.execution.eager import Eager
from musegen.flow.execution.graph import Graph
from musegen.kernels import available
from musegen.models.base import Condition, FlowNetwork
from musegen.models.embedding_transformer import EmbeddingTransformer

GPU, CPU = torch.device("cuda"), torch.device("cpu")


def network() -> FlowNetwork:
    made = EmbeddingTransformer(dim=32, depth=1, heads=2, embedding_dim=24, embedding_tokens=3, text_dim=20)
    return randomise(made)  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    choice._say_once.cache_clear()


def test_auto_depends_on_the_device_and_on_certain_work_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "why_not", lambda device: None)
    assert type(resolve("auto", CPU, 2 * COMPILING_PAYS)) is Eager
    assert type(resolve("auto", torch.device("mps"), 2 * COMPILING_PAYS)) is Eager
    assert type(resolve("auto", GPU)) is Graph
    assert type(resolve("auto", GPU, 0.9 * COMPILING_PAYS)) is Graph
    assert type(resolve("auto", GPU, COMPILING_PAYS)) is Compiled
    monkeypatch.setattr(choice, "why_not", lambda device: "it is too old")
    assert type(resolve("auto", GPU, COMPILING_PAYS)) is Graph


def test_every_execution_has_a_short_name() -> None:
    kinds = {"eager": Eager, "graph": Graph, "compiled": Compiled, "compiled_whole": CompiledWhole}
    for name, kind in kinds.items():
        assert type(resolve(name, CPU)) is kind
    example = Graph(keep=3)
    copied = resolve(example, GPU)
    assert copied is not example
    assert isinstance(copied, Graph)
    assert copied.keep == 3


def test_unknown_names_are_one_line() -> None:
    with pytest.raises(ValueError, match=r"^execution: expected one of auto, compiled, .*graph.*, got 'fastest'$"):
        resolve("fastest", CPU)
    with pytest.raises(ValueError, match=r"execution: expected a Execution under musegen\., got os.system"):
        resolve({"class_path": "os.system", "init_args": {}}, CPU)


def test_what_a_cpu_cannot_do_falls_back_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prepared = [prepare_execution(Graph(skip_null=False), network()) for _ in range(2)]
    assert [record.message for record in caplog.records] == [
        "execution: there are no CUDA graphs on cpu: running as written"
    ]
    assert all(type(one.execution) is Eager for one in prepared)
    assert prepared[0].arithmetic == {"as": "written", "skip_null": False}

    caplog.clear()
    monkeypatch.setattr(choice, "why_not", lambda device: "there is no C++ compiler")
    with caplog.at_level(logging.WARNING):
        assert type(prepare_execution("compiled", network()).execution) is Eager
    assert [record.message for record in caplog.records] == ["execution: there is no C++ compiler: running as written"]


def test_a_network_is_as_written_again_after_another_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network()
    condition = Condition(torch.randn(2, 5, 20))
    arguments = torch.randn(2, 24), torch.rand(2), condition
    with torch.no_grad():
        expected = made(*arguments)

    def compiled(module: torch.nn.Module) -> bool:
        return module._compiled_call_impl is not None

    monkeypatch.setattr(available, "why_not", lambda device: None)
    for kind in (Compiled, CompiledWhole):
        prepare_execution(kind(backend="eager"), made)
        assert any(getattr(module, "fast", False) for module in made.modules())
        assert any(compiled(module) for module in made.modules())
        prepare_execution("eager", made)
        assert not any(
            getattr(module, "fast", False) or getattr(module, "few_rows", False) for module in made.modules()
        )
        assert not any(compiled(module) for module in made.modules())
        with torch.no_grad():
            assert torch.equal(made(*arguments), expected)


def test_a_block_is_compiled_for_more_shapes_than_torch_allows_at_first() -> None:
    """Torch's limit is 8 for all networks of a process; behind it blocks would run as written, unnoticed."""
    compiled = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        compiled.append(graph)
        return graph.forward

    made = network()
    compile_blocks(made, backend)  # type: ignore[arg-type]
    with torch.no_grad():
        for items in range(1, 13):
            made(torch.randn(items, 24), torch.rand(items), Condition(torch.randn(items, 5, 20)))
    assert len(compiled) >= 12


def test_a_graph_is_called_what_running_as_written_is() -> None:
    assert arithmetic(Graph(), GPU) == arithmetic(Eager(), GPU) == {"as": "written", "skip_null": True}
    assert arithmetic(Eager(skip_null=False), CPU) != arithmetic(Eager(), CPU)
    blocks, whole = (arithmetic(kind(backend="aot_eager"), CPU) for kind in (Compiled, CompiledWhole))
    assert blocks["as"] == "compiled blocks"
    assert whole == blocks | {"as": "compiled whole"}
    assert arithmetic(Compiled(mode="max-autotune-no-cudagraphs"), CPU)["mode"] == "max-autotune-no-cudagraphs"
