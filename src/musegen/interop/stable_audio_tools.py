"""stable-audio-tools: ``model_config.json`` beside ``model.safetensors`` or ``model.ckpt``.

Our state dicts have the same names below other prefixes: ``network.`` is ``model.model.``, ``conditioning.`` is
``conditioner.``, and the autoencoder lies below ``pretransform.model.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from musegen.checkpoints import cast_types, read_json, write_json
from musegen.files import whole_folder
from musegen.flow.model import FlowModel
from musegen.interop.exchange import (
    CODEC,
    FLOW,
    Part,
    Parts,
    codec_part,
    derived,
    flow_part,
    rename,
    scale_statistics,
    statistics_scale,
)
from musegen.interop.stable_audio_tools_config import FORMAT, config_from_models, models_from_config
from musegen.interop.torch_files import read_any
from musegen.tensor_files import Progress, describe_names, write_tensors

Weights = Literal["ema", "raw"]

CONFIG = "model_config.json"
WEIGHTS = ("model.safetensors", "model.ckpt")
PREFIXES = {"network.": "model.model.", "conditioning.": "conditioner."}
CODEC_PREFIX = "pretransform.model."
WRAPPERS = {"diffusion.": "diffusion_ema.ema_model.", "autoencoder.": "autoencoder_ema.ema_model."}


def read(
    weights: Path,
    config: Path,
    which: Weights = "ema",
    licences: tuple[str, ...] = (),
    t5: str | None = None,
) -> Parts:
    """Read a model.

    Args:
        weights: a safetensors or torch file: a whole model, one of its parts, or a training checkpoint.
        config: its ``model_config.json``.
        which: of a training checkpoint, the averaged weights (where there are any) or the raw ones.
        licences: what the model is under; the files do not say.
        t5: folder or hub's name of the text encoder, in place of the config's.

    Raises:
        ValueError: in one line, for what musegen has nothing like, and for files that do not fit each other.
    """
    said = read_json(config)
    flow, codec, scale = models_from_config(said, t5)
    tensors = canonical_names(read_any(weights)[0], which)
    parts: Parts = {}
    training = {"format": FORMAT}
    if flow is not None and any(not name.startswith(CODEC_PREFIX) for name in tensors):
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(CODEC_PREFIX)}
        objective = said["model"]["diffusion"].get("diffusion_objective", "v")
        state = _flow_state(own, flow, weights) | scale_statistics(flow, scale)
        parts[FLOW] = Part(flow, state, licences, {**training, "objective": objective})
    if codec is not None and (flow is None or any(name.startswith(CODEC_PREFIX) for name in tensors)):
        own = {name: tensor for name, tensor in tensors.items() if flow is None or name.startswith(CODEC_PREFIX)}
        names = {name: (CODEC_PREFIX + name,) for name in codec.state_dict()}
        parts[CODEC] = Part(codec, rename(own, names, codec, weights), licences, training)
    if not parts:
        raise ValueError(f"{weights}: expected what {config.name} describes, got {describe_names(tensors)}")
    return parts


def write(parts: Parts, folder: Path, dtype: torch.dtype | None = None, progress: Progress | None = None) -> None:
    """Write a folder that stable-audio-tools loads: ``model_config.json`` and ``model.safetensors``.

    Raises:
        ValueError: if stable-audio-tools has nothing like a part of the model.
        OSError: on a full disk or an unwritable folder.
    """
    flow, codec = flow_part(parts), codec_part(parts)
    if flow is None and codec is None:
        raise ValueError(f"{FORMAT} has flow models and autoencoders, got {', '.join(parts)}")
    scale = 1.0 if flow is None else statistics_scale(flow, FORMAT)
    config = config_from_models(
        None if flow is None else flow.model,  # type: ignore[arg-type]
        None if codec is None else codec.model,  # type: ignore[arg-type]
        scale,
        {} if flow is None else flow.training,
    )
    tensors: dict[str, Tensor] = {}
    types: dict[str, torch.dtype] = {}
    for part in (flow, codec):
        if part is None:
            continue
        prefix = CODEC_PREFIX if part is codec and flow is not None else ""
        own = {name: _their_name(name, prefix) for name in part.state if not name.startswith("statistics.")}
        cast = cast_types(part.state, part.model, dtype)
        tensors |= {theirs: part.state[ours] for ours, theirs in own.items()}
        types |= {theirs: cast[ours] for ours, theirs in own.items() if ours in cast}
    with whole_folder(folder) as temporary:
        write_json(temporary / CONFIG, config)
        write_tensors(temporary / WEIGHTS[0], tensors, types, progress)


def canonical_names(tensors: Mapping[str, Tensor], which: Weights = "ema") -> dict[str, Tensor]:
    """Undo what training, compiling or exporting a part wraps around names, so that all files look like a whole model.

    Args:
        tensors: under the names of a file.
        which: of a training checkpoint, the averaged weights (where there are any) or the raw ones.
    """
    named = {_plain(name): tensor for name, tensor in tensors.items()}
    if named and all(name.startswith("module.") for name in named):
        named = {name.removeprefix("module."): tensor for name, tensor in named.items()}
    for wrapper, average in WRAPPERS.items():
        inner = {name.removeprefix(wrapper): one for name, one in named.items() if name.startswith(wrapper)}
        if not inner:
            continue
        inside = "model." if wrapper == "diffusion." else ""  # of a diffusion model, only the network is averaged
        averaged = {
            inside + name.removeprefix(average): tensor for name, tensor in named.items() if name.startswith(average)
        }
        named = {**inner, **(averaged if which == "ema" else {})}
    return {_whole(name): tensor for name, tensor in named.items()}


def is_ours(tensors: Mapping[str, Tensor]) -> bool:
    """Whether canonical names are those of stable-audio-tools."""
    return any(name.startswith((*PREFIXES.values(), CODEC_PREFIX)) for name in tensors)


def our_name(name: str) -> str:
    """Our name of a flow model's tensor in a whole model of stable-audio-tools; others stay as they are."""
    for ours, theirs in PREFIXES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _plain(name: str) -> str:
    """Without what compiling and newer weight normalisation put into names."""
    name = name.replace("_orig_mod.", "")
    return name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )


def _whole(name: str) -> str:
    """The name that a tensor of a part has in a whole model."""
    parts = name.split(".")
    if parts[0] in ("encoder", "decoder") and parts[1:2] == ["layers"]:
        return CODEC_PREFIX + name
    if parts[0] == "model" and parts[1:2] in (["encoder"], ["decoder"]):
        return CODEC_PREFIX + name.removeprefix("model.")
    if parts[0] == "conditioners":
        return "conditioner." + name
    if parts[0] in NETWORK:
        return "model.model." + name
    if parts[0] == "model" and len(parts) > 1 and parts[1] in NETWORK:
        return "model." + name
    return name


NETWORK = (
    "transformer",
    "timestep_features",
    "to_timestep_embed",
    "to_cond_embed",
    "to_global_embed",
    "preprocess_conv",
    "postprocess_conv",
)
"""What the names of a bare transformer begin with."""


def _their_name(name: str, prefix: str) -> str:
    for ours, theirs in PREFIXES.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return prefix + name


def _flow_state(tensors: Mapping[str, Tensor], flow: FlowModel, where: Path) -> dict[str, Any]:
    names = {name: (_their_name(name, ""),) for name in flow.state_dict() if not name.startswith("statistics.")}
    constants = {theirs: tensor for ours, tensor in derived(flow).items() for theirs in names[ours]}
    return rename({**constants, **tensors}, names, flow, where)
