"""musegen's own folders: one model, or several in folders of their names (a pipeline, or a converted model)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from musegen.checkpoints import (
    CONFIG,
    WEIGHTS,
    build_empty,
    check_tensors,
    read_config,
    read_json,
    save_model,
    write_json,
)
from musegen.files import whole_folder
from musegen.int8_tensors import WideFile
from musegen.interop.exchange import CODEC, FLOW, Part, Parts
from musegen.recipes import shorten
from musegen.tensor_files import Progress, open_tensors

FOLDERS = (FLOW, "text2muq", "stable_audio_muq", CODEC, "regression", "joint")
"""Folders that models may lie in: of a foreign model that was converted, or of a pipeline, with its optional parts."""

PIPELINE = "pipeline.json"


def is_model(folder: Path) -> bool:
    """Whether a folder holds one model of ours."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def models_in(folder: Path) -> dict[str, Path]:
    """The model folders that a folder is, or holds."""
    if is_model(folder):
        return {"model": folder}
    return {name: folder / name for name in FOLDERS if is_model(folder / name)}


def read(folder: Path, trust: Sequence[str] = ()) -> Parts:
    """Read a model folder, or all of a folder of several.

    Args:
        folder: see above.
        trust: packages besides musegen whose classes may be named.

    Raises:
        ValueError: in one line, if it holds no such models.
    """
    return {name: _read_one(path, trust) for name, path in models_in(folder).items()}


def _read_one(folder: Path, trust: Sequence[str]) -> Part:
    config = read_config(folder)
    model = build_empty(config["model"], nn.Module, trust, f"{folder / CONFIG}: model")
    with open_tensors(folder / WEIGHTS) as file:
        wide = WideFile(file, folder / WEIGHTS)
        state = {name: wide.tensor(name) for name in wide.names}
    check_tensors(model.state_dict(), {name: one.shape for name, one in state.items()}, folder / WEIGHTS)
    return Part(model, state, tuple(config["licences"]), config.get("training") or {})


def write(
    parts: Parts,
    folder: Path,
    dtype: torch.dtype | None = None,
    progress: Progress | None = None,
    pipeline: Mapping[str, Any] | None = None,
) -> None:
    """Write one model as a model folder, several as folders of their names; whole or not at all.

    Args:
        parts: what to write.
        folder: where to.
        dtype: of the weights; see `save_model`.
        progress: told how many bytes of a file are written.
        pipeline: what ``pipeline.json`` says, if the models are a pipeline's.

    Raises:
        OSError: on a full disk or an unwritable folder.
    """
    with whole_folder(folder) as temporary:
        for name, part in parts.items():
            save_model(
                part.model,
                temporary if len(parts) == 1 else temporary / name,
                licences=part.licences,
                training=part.training or None,
                dtype=dtype,
                state=part.state,
                progress=progress,
            )
        if pipeline is not None:
            write_json(temporary / PIPELINE, pipeline)


def read_settings(folder: Path) -> dict[str, Any] | None:
    """What ``pipeline.json`` of a pipeline's folder says; None without one."""
    path = folder / PIPELINE
    if not path.is_file():
        return None
    said = read_json(path)
    if not isinstance(said, dict):
        raise ValueError(f"{path}: expected settings by name, got {shorten(said)}")
    return said
