"""What a training checkpoint carries so that its network can be exported without the code that trained it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from musegen.config import Configurable
from musegen.licences import strictest

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


def licences_of(known: Iterable[str], data: object) -> list[str]:
    """The licences that a training run's result will carry, sorted; says the strictest of them.

    Args:
        known: of the weights that it begins with.
        data: the data module; its ``licences``, if it has any.
    """
    licences = sorted(set(known) | set(getattr(data, "licences", [])))
    rank_zero_info(
        f"licence of what comes of this: {strictest(licences) or 'unknown'} ({', '.join(licences) or 'none named'})"
    )
    return licences
