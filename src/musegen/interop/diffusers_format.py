"""diffusers: a folder of the StableAudioPipeline, or the ``vae`` of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.checkpoints import cast_types, read_json, write_json
from musegen.files import whole_folder
from musegen.flow.model import FlowModel
from musegen.flow.paths.cosine import CosinePath
from musegen.interop.diffusers_models import (
    FORMAT,
    autoencoder_config,
    autoencoder_from_config,
    conditioning_from_config,
    network_config,
    network_from_config,
    projection_config,
)
from musegen.interop.diffusers_names import autoencoder_name, projection_name, transformer_names
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
from musegen.interop.options import Options
from musegen.interop.torch_files import read_any
from musegen.models.oobleck import OobleckAutoencoder
from musegen.tensor_files import Progress, write_tensors

Names = dict[str, tuple[str, ...]]
"""For each of our tensors, theirs that are joined to make it."""

NAME = "diffusion_pytorch_model"
INDEX = {
    "_class_name": "StableAudioPipeline",
    "projection_model": ["stable_audio", "StableAudioProjectionModel"],
    "scheduler": ["diffusers", "CosineDPMSolverMultistepScheduler"],
    "text_encoder": ["transformers", "T5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "StableAudioDiTModel"],
    "vae": ["diffusers", "AutoencoderOobleck"],
}
SCHEDULER = {  # as Stable Audio Open is published
    "_class_name": "CosineDPMSolverMultistepScheduler",
    "sigma_min": 0.3,
    "sigma_max": 500,
    "sigma_data": 1.0,
    "sigma_schedule": "exponential",
    "prediction_type": "v_prediction",
    "solver_order": 2,
}


def read(folder: Path, licences: tuple[str, ...] = (), t5: str | None = None) -> Parts:
    """Read a pipeline's folder, or that of its ``vae`` alone.

    Args:
        folder: holds ``transformer``, ``projection_model`` and perhaps ``vae``, or is a ``vae`` itself.
        licences: what the model is under; the files do not say.
        t5: folder or hub's name of the text encoder; by default the published T5 of its width.

    Raises:
        ValueError: in one line, for what musegen has nothing like, and for files that do not fit each other.
    """
    if class_name(folder) == "AutoencoderOobleck":
        return {CODEC: _read_autoencoder(folder, licences)}
    parts: Parts = {}
    if (folder / "transformer").is_dir():
        parts[FLOW] = _read_flow(folder, licences, t5)
    if (folder / "vae").is_dir():
        parts[CODEC] = _read_autoencoder(folder / "vae", licences)
    if not parts:
        raise ValueError(f"{folder}: expected a StableAudioPipeline or an AutoencoderOobleck, got {class_name(folder)}")
    return parts


def write(parts: Parts, folder: Path, dtype: torch.dtype | None = None, progress: Progress | None = None) -> None:
    """Write a folder of the StableAudioPipeline, without text encoder and tokenizer, which are not ours; or a ``vae``.

    Raises:
        ValueError: if diffusers has nothing like a part of the model.
        OSError: on a full disk or an unwritable folder.
    """
    flow, codec = flow_part(parts), codec_part(parts)
    components = {} if flow is None else _flow_components(flow, dtype)
    if codec is not None:
        components["." if flow is None else "vae"] = _autoencoder_component(codec, dtype)
    if not components:
        raise ValueError(f"{FORMAT} has flow models and autoencoders, got {', '.join(parts)}")
    with whole_folder(folder) as temporary:
        for place, component in components.items():
            (temporary / place).mkdir(exist_ok=True)
            write_json(temporary / place / "config.json", component.config)
            path = temporary / place / f"{NAME}.safetensors"
            write_tensors(path, component.tensors, component.types, progress)
        if flow is not None:
            write_json(temporary / "model_index.json", INDEX)
            (temporary / "scheduler").mkdir()
            write_json(temporary / "scheduler" / "scheduler_config.json", SCHEDULER)


def class_name(folder: Path) -> str | None:
    """The class that a folder's config names; None without one."""
    for name in ("model_index.json", "config.json"):
        if (folder / name).is_file():
            said = read_json(folder / name)
            if isinstance(said, Mapping) and isinstance(said.get("_class_name"), str):
                return said["_class_name"]
    return None


@dataclass
class _Component:
    config: dict[str, Any]
    tensors: dict[str, Tensor] = field(default_factory=dict)
    types: dict[str, torch.dtype] = field(default_factory=dict)


def _options(folder: Path, expected: str) -> Options:
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"expected the config.json of a {expected}, got none in {folder}")
    options = Options(read_json(path), str(path))
    options.expect("_class_name", expected, default=None)
    options.ignore("_diffusers_version", "_name_or_path", "dtype", "torch_dtype")
    return options


def _weights(folder: Path) -> tuple[Path, dict[str, Tensor]]:
    """The tensors of a component, in one file or in several."""
    index = folder / f"{NAME}.safetensors.index.json"
    if index.is_file():
        shards = Options(read_json(index), str(index)).take("weight_map", dict).values()
        names = sorted({Path(str(name)).name for name in shards})  # a name only: nothing outside the folder
        return index, {key: one for name in names for key, one in read_any(folder / name)[0].items()}
    found = [folder / f"{NAME}{variant}" for variant in (".safetensors", ".fp16.safetensors", ".bin", ".fp16.bin")]
    path = next((path for path in found if path.is_file()), found[0])
    return path, read_any(path)[0]


def _read_flow(folder: Path, licences: tuple[str, ...], t5: str | None) -> Part:
    scheduler = folder / "scheduler" / "scheduler_config.json"
    if scheduler.is_file():
        Options(read_json(scheduler), str(scheduler)).expect("prediction_type", "v_prediction")
    with torch.device("meta"):
        network = network_from_config(_options(folder / "transformer", "StableAudioDiTModel"))
        projection = _options(folder / "projection_model", "StableAudioProjectionModel")
        flow = FlowModel(network, conditioning_from_config(projection, _max_tokens(folder), t5), CosinePath())
    state = derived(flow) | scale_statistics(flow)
    for component, names in _flow_names(flow).items():
        path, tensors = _weights(folder / component)
        state |= rename(tensors, names, flow, path)
    return Part(flow, state, licences, {"format": FORMAT, "objective": "v"})


def _max_tokens(folder: Path) -> int:
    """How many tokens the pipeline's tokenizer makes: Stable Audio Open's 128 where it does not say."""
    path = folder / "tokenizer" / "tokenizer_config.json"
    said = read_json(path) if path.is_file() else {}
    length = said.get("model_max_length") if isinstance(said, Mapping) else None
    return length if isinstance(length, int) and 2 <= length <= 4096 else 128


def _flow_names(flow: FlowModel) -> dict[str, Names]:
    """Names by component."""
    names: dict[str, Names] = {"transformer": {}, "projection_model": {}}
    for name in flow.state_dict():
        room, _, rest = name.partition(".")
        if room == "network" and transformer_names(rest):
            names["transformer"][name] = transformer_names(rest)
        elif room == "conditioning":
            _, conditioner, rest = rest.split(".", 2)
            names["projection_model"][name] = (projection_name(conditioner, rest),)
    return names


def _flow_components(part: Part, dtype: torch.dtype | None) -> dict[str, _Component]:
    flow = part.model
    assert isinstance(flow, FlowModel)
    configs = {"transformer": network_config(flow), "projection_model": projection_config(flow)}
    scale = statistics_scale(part, FORMAT)
    if scale != 1.0:
        raise ValueError(f"{FORMAT} has only unscaled latents, got a scale of {scale}")
    cast = cast_types(part.state, flow, dtype)
    components = {place: _Component(config) for place, config in configs.items()}
    for place, names in _flow_names(flow).items():
        component = components[place]
        for name, theirs in names.items():
            pieces = part.state[name].chunk(len(theirs))
            flat = name.endswith("timestep_features.weight")
            for one, piece in zip(theirs, pieces, strict=True):
                component.tensors[one] = piece.reshape(-1) if flat else piece
                if name in cast:
                    component.types[one] = cast[name]
    return components


def _autoencoder_names(codec: OobleckAutoencoder) -> Names:
    blocks = len(codec.config["init_args"]["strides"])
    return {name: (autoencoder_name(name, blocks),) for name in codec.state_dict()}


def _read_autoencoder(folder: Path, licences: tuple[str, ...]) -> Part:
    with torch.device("meta"):
        codec = autoencoder_from_config(_options(folder, "AutoencoderOobleck"))
    path, tensors = _weights(folder)
    return Part(codec, rename(tensors, _autoencoder_names(codec), codec, path), licences, {"format": FORMAT})


def _autoencoder_component(part: Part, dtype: torch.dtype | None) -> _Component:
    codec = part.model
    assert isinstance(codec, OobleckAutoencoder)
    component = _Component(autoencoder_config(codec))
    cast = cast_types(part.state, codec, dtype)
    for name, (theirs,) in _autoencoder_names(codec).items():
        tensor = part.state[name]
        component.tensors[theirs] = tensor[None, :, None] if name.endswith((".alpha", ".beta")) else tensor
        if name in cast:
            component.types[theirs] = cast[name]
    return component
