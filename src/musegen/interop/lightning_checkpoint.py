"""Lightning checkpoints of our own stages: what was trained, out of everything that resuming needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn

from musegen.checkpoints import build_empty, check_tensors
from musegen.interop.exchange import Part
from musegen.recipes import shorten

Weights = Literal["ema", "raw"]

ENTRY = "musegen"
AVERAGED = "state_dict"
RAW = "current_model_state"
"""Where Lightning's weight averaging keeps the raw weights; the averaged ones then are the state dict itself."""


def read(checkpoint: Mapping[str, Any], path: Path, which: Weights = "ema", trust: Sequence[str] = ()) -> Part:
    """Take the model out of a checkpoint.

    Args:
        checkpoint: the loaded file; its entry ``musegen`` is what `musegen.stages.export` wrote.
        path: what errors call it.
        which: averaged weights (the raw ones where nothing was averaged), or raw ones.
        trust: packages besides musegen whose classes may be named.

    Raises:
        ValueError: in one line, if it is no such checkpoint.
    """
    entry = checkpoint.get(ENTRY)
    if not isinstance(entry, Mapping) or not isinstance(entry.get("model"), Mapping):
        raise ValueError(f"{path}: expected a checkpoint of musegen's stages, got one without a recipe in {ENTRY!r}")
    prefix, licences = entry.get("prefix", "model."), entry.get("licences", [])
    if not isinstance(prefix, str) or not isinstance(licences, list | tuple):
        raise ValueError(f"{path}: {ENTRY}: expected prefix and licences, got {shorten(dict(entry))}")
    averaged = RAW in checkpoint
    state = checkpoint[RAW if which == "raw" and averaged else AVERAGED]
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: expected tensors by name, got {type(state).__name__}")
    own = {
        name.removeprefix(prefix).replace("_orig_mod.", ""): tensor
        for name, tensor in state.items()
        if isinstance(name, str) and name.startswith(prefix) and isinstance(tensor, Tensor)
    }
    model = build_empty(entry["model"], nn.Module, trust, f"{path}: model")
    check_tensors(model.state_dict(), {name: tensor.shape for name, tensor in own.items()}, path)
    training = {
        "format": "lightning",
        "weights": which if averaged else "raw",
        **{name: checkpoint[name] for name in ("epoch", "global_step") if isinstance(checkpoint.get(name), int)},
    }
    return Part(model, own, tuple(str(licence) for licence in licences), training)
