"""A pipeline on disk: a folder with three model folders, and ``pipeline.json`` that says how to sample them."""

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
    return merged


def write_pipeline(
    folder: Path, text2muq: Mapping[str, Any], stable_audio_muq: Mapping[str, Any], variable_length: bool = False
) -> None:
    """Write a pipeline's ``pipeline.json``, beside its model folders.

    Args:
        folder: the pipeline's.
        text2muq: how stage 1 is sampled: ``sampler``, ``steps``, ``guidance``, as short names, numbers or recipes.
        stable_audio_muq: how stage 2 is.
        variable_length: whether stage 2 makes no more frames than a clip needs, having been trained on masked padding.

    Raises:
        OSError: if it cannot be written.
    """
    said = {
        "format": FORMAT,
        "version": VERSION,
        "text2muq": dict(text2muq),
        "stable_audio_muq": dict(stable_audio_muq),
        "variable_length": variable_length,
    }
    write_whole({folder / FILE: f"{json.dumps(said, indent=2)}\n".encode()})
