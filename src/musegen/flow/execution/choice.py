"""Which execution a network gets: the one that was asked for, or what suits the device; and what it does to bits."""

from __future__ import annotations

import functools
import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from musegen.flow.execution.base import Execution
from musegen.flow.execution.compiled import Compiled, run_as_written, why_not
from musegen.flow.execution.compiled_whole import CompiledWhole
from musegen.flow.execution.eager import Eager
from musegen.flow.execution.graph import Graph
from musegen.kernels import available
from musegen.models.base import FlowNetwork
from musegen.plugins import choose, names

logger = logging.getLogger(__name__)

EXECUTIONS = "musegen.flow.execution"
AUTO = "auto"

COMPILING_PAYS = 1e12
"""Parameters times steps times items from which compiling is taken to be quicker than replaying, its first call
included: 10 clips of the 1.06B network at 100 steps, 74 of the 271M one at 50."""

ExecutionChoice = Execution | Mapping[str, Any] | str
"""``auto``, a short name (``graph``), a class path, a recipe, or an example."""


@dataclass(frozen=True)
class Prepared:
    """A network's execution, ready.

    Args:
        execution: what runs it.
        arithmetic: what of it the last bits depend on; JSON-able, a part of the fingerprint.
    """

    execution: Execution
    arithmetic: dict[str, Any]


def prepare_execution(
    choice: ExecutionChoice, network: FlowNetwork, work: float = 0.0, trust: Sequence[str] = ()
) -> Prepared:
    """Choose and prepare an execution of its own for a network that is on its device and has its dtype.

    ``auto`` is `Graph` on a CUDA GPU, whose bits are those of `Eager`, and `Eager` elsewhere; on a GPU it is `Compiled`
    for at least `COMPILING_PAYS` of work. What a device cannot do falls back, with one line in the log.

    Args:
        choice: what was asked for; an example is copied, since an execution serves one network.
        network: what is run; `Compiled` changes it in place, and what an earlier execution changed is taken back.
        work: parameters times steps times items that are certain to come.
        trust: packages besides musegen whose executions may be built.

    Raises:
        ValueError: for an unknown name, or a class that may not be built.
    """
    device = next(network.parameters()).device
    execution = resolve(choice, device, work, trust)
    reason = _why_as_written(execution, device)
    if reason is not None:
        _say_once(f"execution: {reason}: running as written")
        execution = Eager(execution.skip_null)
    run_as_written(network)
    execution.prepare(network)
    return Prepared(execution, arithmetic(execution, device))


def resolve(choice: ExecutionChoice, device: torch.device, work: float = 0.0, trust: Sequence[str] = ()) -> Execution:
    """A new execution of the kind that was chosen; see `prepare_execution`."""
    if isinstance(choice, Execution):
        choice = choice.config
    if choice == AUTO:
        if device.type != "cuda":
            return Eager()
        return Compiled() if work >= COMPILING_PAYS and why_not(device) is None else Graph()
    try:
        return choose(choice, Execution, EXECUTIONS, trust)
    except ValueError as error:
        if isinstance(choice, str) and str(error).startswith("unknown execution"):
            known = ", ".join([AUTO, *names(Execution, EXECUTIONS)])
            raise ValueError(f"execution: expected one of {known}, got {choice!r}") from None
        raise


def arithmetic(execution: Execution, device: torch.device) -> dict[str, Any]:
    """What an execution does to the last bits of a result on a device: JSON-able.

    Replaying launches the kernels that running as written does, so that both are called the same.
    """
    found: dict[str, Any] = {"as": "written", "skip_null": execution.skip_null}
    if isinstance(execution, Compiled):
        kernels = execution.kernels and available.why_not(device) is None
        found |= {
            "as": "compiled whole" if isinstance(execution, CompiledWhole) else "compiled blocks",
            "backend": execution.backend,
            "mode": execution.mode,
            "kernels": kernels,
            "triton": _triton() if kernels or device.type == "cuda" else None,
        }
    elif not isinstance(execution, Eager | Graph):
        found["as"] = execution.config
    return found


def _why_as_written(execution: Execution, device: torch.device) -> str | None:
    """Why an execution would do no more on a device than `Eager` does; None where it does."""
    if isinstance(execution, Graph) and device.type != "cuda":
        return f"there are no CUDA graphs on {device.type}"
    if isinstance(execution, Compiled) and execution.backend == "inductor":
        return why_not(device)
    return None


@functools.cache
def _say_once(line: str) -> None:
    """Warn, though several networks have the same reason to."""
    logger.warning(line)


def _triton() -> str | None:
    if importlib.util.find_spec("triton") is None:
        return None
    import triton

    return str(triton.__version__)
