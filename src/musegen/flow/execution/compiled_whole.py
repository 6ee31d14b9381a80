"""The whole network compiled."""

from __future__ import annotations

from musegen.flow.execution.compiled import Compiled


class CompiledWhole(Compiled):
    """Compile all blocks as one, which also fuses what lies between one block and the next.

    The first call takes as many times longer as there are blocks; a few percent are gained.

    Args:
        skip_null: see `Execution`.
        graph: see `Compiled`.
        backend: see `Compiled`.
        mode: see `Compiled`.
        kernels: see `Compiled`.
    """

    whole = True
