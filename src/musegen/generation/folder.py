"""A pipeline on disk: a folder with three model folders, and ``pipeline.json`` that says how to sample them.

Beside the three there may be two that making music does not need: ``regression``, the baseline of stage 1, and
``joint``, the embedder of the music that the stages were trained on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musegen.checkpoints import read_json
from musegen.files import write_whole

FORMAT = "musegen-pipeline"
VERSION = 1
FILE = "pipeline.json"
WEIGHTS = Path(__file__).parents[1] / "weights"
DEFAULT = "default"
PARTS = ("text2muq", "stable_audio_muq", "vae")
REGRESSION = "regression"
JOINT = "joint"

POSTER: dict[str, Any] = {
    "text2muq": {"sampler": "dopri5", "steps": 50, "guidance": 3.0},
    "stable_audio_muq": {"sampler": "dpmpp_2m", "steps": 100, "guidance": 7.0},
}
"""How the stages are sampled where a folder does not say. Stage 1 as the original system did it; of its stage 2 only
the 100 steps of an ODE solver are known, and guidance 7 is what Stable Audio Open publishes."""


def shipped() -> list[str]:
    """Names of the pipelines inside the package."""
    if not WEIGHTS.is_dir():
        return []
    return sorted(folder.name for folder in WEIGHTS.iterdir() if is_pipeline(folder))


def is_pipeline(folder: Path) -> bool:
    """Whether a folder holds every part of a pipeline."""
    return all((folder / part).is_dir() for part in PARTS)


def find_pipeline(model: str | Path | None) -> Path:
    """The folder of a pipeline.

    Args:
        model: a folder, the name of a pipeline that ships with the package, or None for the default one.

    Raises:
        ValueError: if there is none, listing those that there are.
    """
    known = f"shipped models: {', '.join(shipped()) or 'none'}"
    if model is None:
        if DEFAULT not in shipped():
            raise ValueError(f"model: this installation has no default model; name a folder or one of the {known}")
        return WEIGHTS / DEFAULT
    if str(model) in shipped():
        return WEIGHTS / str(model)
    folder = Path(model)
    if not folder.is_dir():
        raise ValueError(f"model: no folder and no shipped model is called {str(model)!r}; {known}")
    missing = [part for part in PARTS if not (folder / part).is_dir()]
    if missing:
        raise ValueError(f"model: expected {', '.join(PARTS)} in {folder}, got no {' and no '.join(missing)}")
    return folder


def read_pipeline(folder: Path) -> dict[str, Any]:
    """What ``pipeline.json`` says, over the defaults of `POSTER`; a folder may have none.

    Raises:
        ValueError: if the file is not that of a pipeline.
    """
    path = folder / FILE
    if not path.exists():
        return dict(POSTER)
    said = read_json(path)
    found = said.get("format") if isinstance(said, dict) else type(said).__name__
    if found != FORMAT or said.get("version") != VERSION:
        raise ValueError(f"{path}: expected format {FORMAT}, version {VERSION}, got {found!r}")
    merged: dict[str, Any] = {**POSTER, **said}
    for stage in ("text2muq", "stable_audio_muq"):
        if not isinstance(merged[stage], Mapping):
            raise ValueError(f"{path}: {stage}: expected sampler, steps and guidance, got {merged[stage]!r}")
        merged[stage] = {**POSTER[stage], **merged[stage]}
    embedder = merged.get("embedder")
    if embedder is not None and not isinstance(embedder, str | Mapping):
        raise ValueError(f"{path}: embedder: expected a name or class_path and init_args, got {embedder!r}")
    return merged


def read_embedder(folder: Path) -> str | dict[str, Any] | None:
    """What embedded the music that a pipeline was trained on, as a name or a recipe; None where it does not say.

    A recipe whose ``model`` is ``joint`` means the folder's own part of that name, wherever the folder lies.

    Raises:
        ValueError: if that part is missing, or the file is not that of a pipeline.
    """
    said = read_pipeline(folder).get("embedder")
    if said is None or isinstance(said, str):
        return said
    arguments = said.get("init_args")
    if not isinstance(arguments, Mapping) or arguments.get("model") != JOINT:
        return dict(said)
    if not (folder / JOINT).is_dir():
        raise ValueError(f"{folder / FILE}: embedder: expected the model folder {JOINT} beside it, got none")
    return {**said, "init_args": {**arguments, "model": str(folder / JOINT)}}


def write_pipeline(
    folder: Path,
    text2muq: Mapping[str, Any],
    stable_audio_muq: Mapping[str, Any],
    variable_length: bool = False,
    embedder: str | Mapping[str, Any] | None = None,
) -> None:
    """Write a pipeline's ``pipeline.json``, beside its model folders.

    Args:
        folder: the pipeline's.
        text2muq: how stage 1 is sampled: ``sampler``, ``steps``, ``guidance``, as short names, numbers or recipes.
        stable_audio_muq: how stage 2 is.
        variable_length: whether stage 2 makes no more frames than a clip needs, having been trained on masked padding.
        embedder: of the music that the stages were trained on: a short name, or a recipe such as an `Embedder`'s
            ``config``; None says nothing.

    Raises:
        OSError: if it cannot be written.
    """
    said: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "text2muq": dict(text2muq),
        "stable_audio_muq": dict(stable_audio_muq),
        "variable_length": variable_length,
    }
    if embedder is not None:
        said["embedder"] = embedder if isinstance(embedder, str) else dict(embedder)
    write_whole({folder / FILE: f"{json.dumps(said, indent=2)}\n".encode()})
