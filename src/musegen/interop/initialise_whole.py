"""Beginning from pretrained weights of the very same network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from musegen.checkpoints import check_tensors
from musegen.interop.initialise import LoadReport
from musegen.interop.recognise import read, recognise


def load_whole(model: nn.Module, source: str | Path) -> LoadReport:
    """Load every tensor of a model from a source that holds one of its class and shapes.

    Args:
        model: gets the weights, in place.
        source: a model folder, a Lightning checkpoint (of which the averaged weights are taken), or foreign weights.

    Raises:
        ValueError: in one line, if the source holds no such model, or one of other shapes.
    """
    path = Path(source)
    parts = read(recognise(path), t5="any")
    part = next((one for one in parts.values() if type(one.model) is type(model)), None)
    if part is None:
        found = ", ".join(type(one.model).__name__ for one in parts.values()) or "nothing"
        raise ValueError(f"{path}: expected the weights of a {type(model).__name__}, got {found}")
    own = model.state_dict()
    check_tensors(own, {name: tensor.shape for name, tensor in part.state.items()}, path)
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(part.state[name])
    return LoadReport(str(path), tuple(own), (), (), part.licences)
