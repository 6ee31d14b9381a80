"""Whether cached text states are those of the encoder that a model is told by."""

from __future__ import annotations

from typing import Any

from torch import nn

from musegen.conditioning.caption import CaptionConditioner


def check_text_states(model: nn.Module, data: Any) -> None:
    """Compare the encoder of a model's captions with the one that made the data's text states.

    Args:
        model: with its conditioners.
        data: a `ShardData`; any other is not looked at.

    Raises:
        ValueError: naming the folder and both encoders, if they differ.
    """
    if "text" not in getattr(data, "fields", ()):
        return
    encoders = [module.encoder for module in model.modules() if isinstance(module, CaptionConditioner)]
    for folder, made_by in data.made_by.items():
        there = made_by.get("text", {}).get("revision")
        for encoder in encoders:
            if there not in (None, encoder.revision):
                raise ValueError(
                    f"{folder}: its text states were made by {there}, expected {encoder.revision}, the model's encoder"
                )
