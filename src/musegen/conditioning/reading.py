"""Reading one thing from a batch, with a clear word where it is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from musegen.conditioning.base import Conditioner


def read(conditioner: Conditioner, batch: Mapping[str, Any]) -> Any:
    """What a conditioner reads.

    Raises:
        ValueError: if the batch lacks it.
    """
    if conditioner.reads not in batch:
        raise ValueError(
            f"{type(conditioner).__name__}: expected {conditioner.reads!r} in the batch, got {sorted(batch)}"
        )
    return batch[conditioner.reads]
