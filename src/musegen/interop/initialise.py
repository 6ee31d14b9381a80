"""Beginning from pretrained weights: every one of them is loaded, or named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from musegen.checkpoints import read_json
from musegen.flow.model import FlowModel
from musegen.interop import recognise as sources
from musegen.interop.exchange import derived, scale_statistics
from musegen.interop.recognise import Source, card_licences, recognise
from musegen.interop.stable_audio_tools import CODEC_PREFIX, canonical_names, our_name
from musegen.interop.stable_audio_tools_config import PATHS, objective_and_scale
from musegen.interop.torch_files import read_any
from musegen.tensor_files import describe_names


@dataclass(frozen=True)
class LoadReport:
    """What became of pretrained weights; printed, it is one line for each kind.

    Args:
        source: where they are from.
        loaded: names of the model's tensors that were loaded.
        new: names of the model's tensors that the source has nothing for: they begin at random.
        unused: names in the source that the model has nothing for.
        licences: what the weights are under.
        note: what else a user should know; empty if nothing.
    """

    source: str
    loaded: tuple[str, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    licences: tuple[str, ...]
    note: str = ""

    def __str__(self) -> str:
        lines = [f"pretrained weights from {self.source} ({', '.join(self.licences) or 'no licence named'})"]
        for kind, names in (("loaded", self.loaded), ("new", self.new), ("not used", self.unused)):
            groups: dict[str, int] = {}
            for name in names:
                groups[group(name)] = groups.get(group(name), 0) + 1
            counts = ", ".join(f"{name} ({count})" for name, count in groups.items())
            lines.append(f"  {kind}: {len(names)} tensors{': ' if counts else ''}{counts}")
        return "\n".join([*lines, f"  note: {self.note}"] if self.note else lines)


def group(name: str) -> str:
    """The part of a model that a tensor belongs to, which pretrained weights have as a whole or not at all."""
    parts = name.split(".")
    return ".".join(parts[:3] if parts[:2] == ["conditioning", "conditioners"] else parts[:1])


def load_pretrained(model: FlowModel, source: str | Path, may_lack: tuple[str, ...] = ()) -> LoadReport:
    """Load what fits, part by part: the network, each conditioner by its name, the data's statistics.

    Args:
        model: gets the weights, in place.
        source: a folder or file of musegen, stable-audio-tools (with or without its config) or diffusers, or a
            Lightning checkpoint.
        may_lack: what the names of those tensors begin with that the source need not have.

    Raises:
        ValueError: in one line, if the network is not the source's, or a part fits only half.
    """
    path = Path(source)
    state, licences, trained_on = _pretrained(recognise(path), model)
    own = model.state_dict()
    loaded = [name for name in own if name in state]
    new = [name for name in own if name not in state]
    given = {group(name) for name in loaded}
    needed = [name for name in new if not name.startswith(may_lack)]
    lacking = [name for name in needed if group(name) in given or group(name) == "network"]
    if lacking:
        raise ValueError(f"{path}: does not fit this model: {len(lacking)} tensors are missing, first {lacking[0]}")
    unused = [name for name in state if name not in own]
    foreign = [name for name in unused if group(name) in given]
    if foreign:
        raise ValueError(f"{path}: does not fit this model: {len(foreign)} more tensors, first {foreign[0]}")
    for name in loaded:
        if own[name].shape != state[name].shape:
            shapes = f"expected shape {list(own[name].shape)}, got {list(state[name].shape)}"
            raise ValueError(f"{path}: does not fit this model: {name}: {shapes}")
    with torch.no_grad():
        for name in loaded:
            own[name].copy_(state[name])
    return LoadReport(str(path), tuple(loaded), tuple(new), tuple(unused), licences, _note(model, trained_on))


def _note(model: FlowModel, trained_on: type | None) -> str:
    if trained_on in (None, type(model.path)):
        return ""
    return f"these weights learned on {trained_on.__name__}, this model is on {type(model.path).__name__}"


def _pretrained(source: Source, model: FlowModel) -> tuple[Mapping[str, Tensor], tuple[str, ...], type | None]:
    """Tensors of a flow model under our names, what they are under, and the path that they learned on, if known."""
    if source.format == "stable-audio-tools":  # by names alone: conditioners that we have nothing like do not matter
        tensors = {our_name(name): one for name, one in canonical_names(read_any(source.path)[0]).items()}
        own = {name: tensor for name, tensor in tensors.items() if not name.startswith(CODEC_PREFIX)}
        if not any(name.startswith("network.") for name in own):
            raise ValueError(f"{source.path}: expected the weights of a network, got {describe_names(tensors)}")
        objective, scale = (None, 1.0) if source.config is None else objective_and_scale(read_json(source.config))
        state = derived(model) | scale_statistics(model, scale) | own
        return state, card_licences(source.path), PATHS.get(objective or "")
    parts = sources.read(source, t5="any")  # a text encoder is not looked for, so its name does not matter
    axes = len(model.network.shape)
    for part in parts.values():
        if isinstance(part.model, FlowModel) and len(part.model.network.shape) == axes:
            return part.state, part.licences, type(part.model.path)
    what = "latents" if axes > 1 else "embeddings"
    raise ValueError(f"{source.path}: expected a flow model over {what}, got {', '.join(parts)}")
