"""What an evaluation of a network should take: the longest of launching, moving and computing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from musegen.bench.ceilings import Ceilings
from musegen.bench.flows import BYTES, Setup
from musegen.bench.networks import condition, evaluation_cost, flow_network
from musegen.bench.timing import time_runs, wait


@dataclass(frozen=True)
class Roofline:
    """The time of one guided evaluation as a function of the items that share it.

    Weights are read, and operations are launched, once for all items; arithmetic is done for each. So the time is flat
    until arithmetic takes longer than the longer of the other two: the knee, up to which more items cost nothing.

    Source: "Roofline: An Insightful Visual Performance Model for Multicore Architectures", Williams et al., 2009,
    https://doi.org/10.1145/1498765.1498785, with the time to launch as a third roof.

    Args:
        launch: seconds to launch all operations.
        move: seconds to read all weights.
        compute: seconds of one item's arithmetic.
    """

    launch: float
    move: float
    compute: float

    @classmethod
    def of(cls, setup: Setup, precision: str, ceilings: Ceilings, launch: float) -> Roofline:
        """Of one stage's network in a precision.

        Args:
            setup: the stage.
            precision: of the network.
            ceilings: of the device.
            launch: seconds that one operation takes to launch.
        """
        flops, weights = evaluation_cost(setup.sizes, setup.size, setup.tokens)
        rate = ceilings.matmul.get(precision) or max(ceilings.matmul.values())
        moved = weights * BYTES[precision]
        return cls(launch * count_operations(setup), moved / ceilings.copy, flops / rate)

    def seconds(self, items: int) -> float:
        """Of one evaluation of so many items."""
        return max(self.launch, self.move, self.compute * items)

    @property
    def knee(self) -> float:
        """Items up to which another one costs nothing."""
        return max(self.launch, self.move) / self.compute

    def bound(self, items: int) -> str:
        """Which of the three decides."""
        named = {"launching": self.launch, "moving": self.move, "computing": self.compute * items}
        return max(named, key=lambda name: named[name])

    def efficiency(self, items: int) -> float:
        """By how much items at once are quicker than one after the other, as a share of their number."""
        return self.seconds(1) / self.seconds(items)


class Counter(TorchDispatchMode):
    """Counts operations that compute something: views launch nothing."""

    VIEWS = (torch.ops.aten._unsafe_view.default,)
    """Views that do not say so."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count, and go on."""
        results = func._schema.returns
        view = any(result.alias_info is not None and not result.alias_info.is_write for result in results)
        self.count += not view and func not in self.VIEWS
        return func(*args, **(kwargs or {}))


class WholeAttention(TorchFunctionMode):
    """Lets a `Counter` count attention as one operation, as which a GPU launches it: on meta tensors it is nine."""

    def __init__(self, counter: Counter) -> None:
        super().__init__()
        self.counter = counter

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Go on, and count what attention is made of as one."""
        before = self.counter.count
        result = func(*args, **(kwargs or {}))
        if func is F.scaled_dot_product_attention:
            self.counter.count = before + 1
        return result


def count_operations(setup: Setup) -> int:
    """Operations of one guided evaluation, counted without computing them."""
    with torch.device("meta"):
        network = flow_network(setup.sizes, setup.size).eval()
    told = condition(network, 1, setup.tokens, torch.device("cpu")).to("meta")
    with torch.no_grad():
        prepared = network.prepare_with_null(told)
        x, time = torch.empty(2, *network.shape, device="meta"), torch.empty(2, device="meta")
        with Counter() as counter, WholeAttention(counter):
            network.predict(x, time, prepared)
    return counter.count


def measure_launch(device: torch.device, recorded: bool, several: int = 200) -> float:
    """Seconds that one operation on next to nothing takes: called by the host, or replayed in a CUDA graph.

    Args:
        device: where.
        recorded: replayed.
        several: operations in a row.
    """
    x = torch.zeros(8, device=device)

    def calls() -> Tensor:
        for _ in range(several):
            x.add_(1)
        return x

    run: Callable[[], object] = calls
    if recorded and device.type == "cuda":
        calls()
        wait(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            calls()
        run = graph.replay
    with torch.inference_mode():
        return time_runs(run, device, 20, 2).median / several
