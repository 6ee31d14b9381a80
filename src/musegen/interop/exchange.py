"""What every foreign format is read into and written from: models in musegen's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from musegen.checkpoints import check_tensors
from musegen.flow.model import FlowModel
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.oobleck import OobleckAutoencoder
from musegen.tensor_files import describe_difference

FLOW = "stable_audio"
CODEC = "vae"
UNKNOWN_LICENCE = "LicenseRef-unknown"


@dataclass(frozen=True)
class Part:
    """One model.

    Args:
        model: says what it is; its own tensors may be empty.
        state: its tensors, under the names of the model's state dict.
        licences: SPDX names of what it was made from.
        training: what else is known about how it came to be; plain data.
    """

    model: nn.Module
    state: Mapping[str, Tensor]
    licences: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)


Parts = dict[str, Part]
"""The models of one source by name: `FLOW` and `CODEC`, or another name of a single model."""


def flow_part(parts: Parts) -> Part | None:
    """The flow model over latents, under whatever name; None without one."""
    flows = [part for part in parts.values() if isinstance(part.model, FlowModel) and len(part.model.network.shape) > 1]
    return flows[0] if flows else None


def codec_part(parts: Parts) -> Part | None:
    """The autoencoder; None without one."""
    return next((part for part in parts.values() if isinstance(part.model, OobleckAutoencoder)), None)


def rename(
    theirs: Mapping[str, Tensor], names: Mapping[str, tuple[str, ...]], model: nn.Module, where: Path | str
) -> dict[str, Tensor]:
    """Tensors under our names.

    Args:
        theirs: tensors under foreign names.
        names: for each of our names, the foreign ones that are joined along the first axis to make it.
        model: what the tensors are for.
        where: what errors call the file.

    Raises:
        ValueError: in one line, for missing and unexpected tensors and for wrong shapes, saying what the file seems to
            be.
    """
    wanted = [name for parts in names.values() for name in parts]
    difference = describe_difference(wanted, theirs.keys())
    if difference is not None:
        raise ValueError(f"{where}: expected {len(wanted)} tensors, got {len(theirs)}: {difference}")
    expected = {name: tensor for name, tensor in model.state_dict().items() if name in names}
    state: dict[str, Tensor] = {}
    for name, parts in names.items():
        tensors = [theirs[part] for part in parts]
        try:
            tensor = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
            same_axes = [size for size in tensor.shape if size != 1] == [s for s in expected[name].shape if s != 1]
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"{where}: {', '.join(parts)} do not fit each other: {error}") from None
        state[name] = tensor.reshape(expected[name].shape) if same_axes else tensor
    check_tensors(expected, {name: tensor.shape for name, tensor in state.items()}, where)
    return state


def derived(model: FlowModel) -> dict[str, Tensor]:
    """Tensors of a flow model that foreign formats may leave out, because they follow from the architecture."""
    state: dict[str, Tensor] = {}
    for prefix, module in model.network.named_modules(prefix="network"):
        for name, buffer in module.named_buffers(prefix, recurse=False):
            if name.endswith("inv_freq"):
                state[name] = type(module)(module.width).inv_freq.cpu()  # type: ignore[operator, call-arg]
            elif name.endswith(".beta"):
                state[name] = torch.zeros(buffer.shape, device="cpu")
    return state


def scale_statistics(model: FlowModel, scale: float = 1.0) -> dict[str, Tensor]:
    """Standardisation of latents by one number, as foreign formats have it."""
    channels = model.network.shape[0]
    return {"statistics.mean": torch.zeros(channels), "statistics.std": torch.full((channels,), float(scale))}


def statistics_scale(part: Part, format: str) -> float:
    """The inverse of `scale_statistics`.

    Raises:
        ValueError: if the latents are standardised by more than one number.
    """
    mean, std = part.state["statistics.mean"].float(), part.state["statistics.std"].float()
    if bool(mean.any()) or bool((std != std[0]).any()):
        raise ValueError(
            f"{format} scales latents by one number, but this model was trained on latents standardised by channel: "
            "it has no equal there"
        )
    return float(std[0])


def published_network(model: FlowModel, format: str) -> DiffusionTransformer:
    """The network of a flow model, if it is one that foreign formats know.

    Raises:
        ValueError: if it is not.
    """
    network = model.network
    if type(network) is not DiffusionTransformer:
        raise ValueError(f"{format} has no {type(network).__name__}, only the DiffusionTransformer of Stable Audio")
    arguments = network.config["init_args"]
    head_dim = arguments["dim"] // arguments["heads"]
    context_dim = arguments["dim"] if arguments["project_condition"] else arguments["condition_dim"]
    kv_heads = arguments["kv_heads"]
    if kv_heads is not None and kv_heads * head_dim != context_dim:
        raise ValueError(f"{format} knows {context_dim // head_dim} heads of keys and values here, got {kv_heads}")
    if arguments["pool_condition"]:
        raise ValueError(f"{format} has nothing like pool_condition: its networks read tokens by attention alone")
    if arguments["mask_condition"]:
        raise ValueError(f"{format} has nothing like mask_condition: its networks read the condition's padding")
    if model.normalise_output:
        raise ValueError(f"{format} has nothing like normalise_output")
    return network
