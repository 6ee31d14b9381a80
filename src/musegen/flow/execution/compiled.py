"""Compiled blocks."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from torch import nn

from musegen.flow.execution.base import Evaluate, Execution, Step
from musegen.flow.execution.eager import Eager
from musegen.flow.execution.graph import Graph
from musegen.kernels import available
from musegen.models.base import FlowNetwork
from musegen.nn.attention import CrossAttention, SelfAttention
from musegen.nn.block import Block
from musegen.nn.stack import Stack

logger = logging.getLogger(__name__)

SHAPES = 64
"""For how many shapes and dtypes torch may compile a block. All networks of a process share the block's code, and
behind torch's own limit, 8, it would run as written from then on."""


class Compiled(Execution):
    """Compile the block that a network repeats, which fuses what lies between its matrix products.

    All blocks share what is compiled, so that the first call takes seconds rather than minutes; torch keeps it on disk
    for the next process. On a CUDA GPU the evaluation is recorded as well (see `Graph`).

    Args:
        skip_null: see `Execution`.
        graph: record the evaluation where there is a CUDA GPU.
        backend: of ``torch.compile``; ``aot_eager`` and ``eager`` compile nothing, for tests.
        mode: of ``torch.compile``; ``max-autotune-no-cudagraphs`` chooses kernels by timing, so that bits may differ
            from process to process.
        kernels: use our own kernels for a handful of tokens, and cuDNN's attention for many.
    """

    whole = False

    def __init__(
        self,
        skip_null: bool = True,
        graph: bool = True,
        backend: str = "inductor",
        mode: str | None = None,
        kernels: bool = True,
    ) -> None:
        super().__init__(skip_null)
        self.kernels = kernels
        self.graph, self.backend, self.mode = graph, backend, mode
        self.inner: Execution = Eager(skip_null)

    def prepare(self, network: FlowNetwork) -> None:
        """Compile at the first evaluation; where the compiler cannot work, say so and run as written."""
        device = next(network.parameters()).device
        self.inner = Graph(self.skip_null) if self.graph and device.type == "cuda" else Eager(self.skip_null)
        self.inner.prepare(network)
        reason = self.backend == "inductor" and why_not(device)
        if reason:
            logger.info("not compiling: %s", reason)
        else:
            compile_blocks(network, self.backend, self.mode, self.whole)
        if self.kernels:
            use_kernels(network)

    def begin(self, evaluate: Evaluate, prepared: Any, kind: str) -> Step:
        """As the inner execution does; the blocks compile themselves."""
        return self.inner.begin(evaluate, prepared, kind)


def use_kernels(network: nn.Module) -> bool:
    """Let a network use our kernels and cuDNN's attention, in place; returns False where it cannot, and logs why."""
    reason = available.why_not(next(network.parameters()).device)
    if reason:
        logger.info("none of our own kernels: %s", reason)
        return False
    for module in network.modules():
        if isinstance(module, SelfAttention | CrossAttention):
            module.fast = True
        elif isinstance(module, Block):
            module.few_rows = True
    return True


def compile_blocks(network: nn.Module, backend: str = "inductor", mode: str | None = None, whole: bool = False) -> int:
    """Compile each block of a network in place at its next call, or all of them as one; returns how many there are."""
    import torch._dynamo.config as limits

    limits.recompile_limit = max(SHAPES, limits.recompile_limit)
    blocks = [module for module in network.modules() if isinstance(module, Stack if whole else Block)]
    for block in blocks:
        block.compile(backend=backend, mode=mode, dynamic=False)
    return len(blocks)


def run_as_written(network: nn.Module) -> None:
    """Take back what `use_kernels` and `compile_blocks` did to a network."""
    for module in network.modules():
        if isinstance(module, SelfAttention | CrossAttention):
            module.fast = False
        elif isinstance(module, Block | Stack):
            module._compiled_call_impl = None  # as Module.compile left it
            if isinstance(module, Block):
                module.few_rows = False


def why_not(device: torch.device) -> str | None:
    """Why torch's compiler cannot work on a device; None where it can."""
    if device.type == "mps":
        return "torch compiles too little for mps"
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (7, 0):
        return f"{torch.cuda.get_device_name(device)} is older than what Triton compiles for"
    if device.type == "cpu":
        import shutil

        if shutil.which(os.environ.get("CXX", "g++")) is None:
            return "there is no C++ compiler"
    return None
