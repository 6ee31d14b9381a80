"""What a training checkpoint carries so that its network can be exported without the code that trained it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from musegen.config import Configurable

KEY = "musegen"
"""The entry of a Lightning checkpoint that an export reads."""


def export_entry(model: Configurable, licences: Iterable[str] = (), prefix: str = "model.") -> dict[str, Any]:
    """Describe the network inside a LightningModule's checkpoint.

    Args:
        model: the network; the LightningModule holds it as the attribute that ``prefix`` names.
        licences: SPDX names of what its data is under.
        prefix: what its parameters' names begin with in the checkpoint's state dict.

    Returns:
        Plain data: ``{"model": recipe, "prefix": prefix, "licences": sorted names}``.
    """
    return {"model": model.config, "prefix": prefix, "licences": sorted(set(licences))}
