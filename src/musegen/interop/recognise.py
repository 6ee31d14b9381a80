"""Finding out what a file or a folder of weights is, and reading it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from musegen.interop import diffusers_format, lightning_checkpoint, musegen_format, stable_audio_tools
from musegen.interop.exchange import UNKNOWN_LICENCE, Parts
from musegen.interop.torch_files import read_any, read_torch_file
from musegen.tensor_files import describe_names

Format = Literal["musegen", "stable-audio-tools", "diffusers", "lightning"]


@dataclass(frozen=True)
class Source:
    """Something that can be read.

    Args:
        format: whose it is.
        path: the folder, or the file of weights.
        config: the ``model_config.json`` of stable-audio-tools' weights; None where there is none.
    """

    format: Format
    path: Path
    config: Path | None = None


def recognise(path: Path, config: Path | None = None) -> Source:
    """Say what a path is.

    Args:
        path: a folder or a file.
        config: the ``model_config.json`` for a file that lies alone.

    Raises:
        ValueError: in one line, if it is nothing that can be read.
    """
    if not path.exists():
        raise ValueError(f"expected a folder or a file of weights, got nothing at {path}")
    if path.is_file():
        return _recognise_file(path, config)
    if any(diffusers_format.class_name(path / part) for part in (".", "transformer", "vae")):
        return Source("diffusers", path)
    if musegen_format.models_in(path):
        return Source("musegen", path)
    weights = [path / name for name in stable_audio_tools.WEIGHTS if (path / name).is_file()]
    weights = weights or sorted([*path.glob("*.safetensors"), *path.glob("*.ckpt")])
    if len(weights) == 1 or (weights and weights[0].name in stable_audio_tools.WEIGHTS):
        return _recognise_file(weights[0], config)
    held = ", ".join(sorted(item.name for item in path.iterdir())[:6]) or "nothing"
    raise ValueError(
        f"{path}: expected a model of musegen, stable-audio-tools ({stable_audio_tools.CONFIG} and one file of "
        f"weights) or diffusers (model_index.json), got a folder with {held}"
    )


def _recognise_file(path: Path, config: Path | None) -> Source:
    if path.suffix == ".json":
        return recognise(path.parent)
    if diffusers_format.class_name(path.parent) is not None:
        return Source("diffusers", path.parent)
    if musegen_format.is_model(path.parent) and path.name == musegen_format.WEIGHTS:
        return Source("musegen", path.parent)
    tensors, rest = read_any(path)
    if lightning_checkpoint.ENTRY in rest:
        return Source("lightning", path)
    if not stable_audio_tools.is_ours(stable_audio_tools.canonical_names(tensors)):
        raise ValueError(
            f"{path}: expected weights of stable-audio-tools, or a checkpoint of musegen's stages, got "
            f"{describe_names(tensors)}"
        )
    beside = [path.with_name(stable_audio_tools.CONFIG), path.with_suffix(".json")]
    return Source("stable-audio-tools", path, config or next((one for one in beside if one.is_file()), None))


def read(
    source: Source,
    *,
    weights: Literal["ema", "raw"] = "ema",
    licences: Sequence[str] = (),
    t5: str | None = None,
    trust: Sequence[str] = (),
) -> Parts:
    """Read what was recognised.

    Args:
        source: what it is.
        weights: of a training checkpoint, averaged or raw weights.
        licences: what the model is under, where its files do not say.
        t5: folder or hub's name of the text encoder, for foreign formats.
        trust: packages besides musegen whose classes a config may name.

    Raises:
        ValueError: in one line.
    """
    if source.format == "musegen":
        return musegen_format.read(source.path, trust)
    if source.format == "lightning":
        part = lightning_checkpoint.read(read_torch_file(source.path), source.path, weights, trust)
        return {"model": part}
    under = tuple(licences) or card_licences(source.path)
    if source.format == "diffusers":
        return diffusers_format.read(source.path, under, t5)
    if source.config is None:
        raise ValueError(
            f"{source.path}: expected {stable_audio_tools.CONFIG} beside it, or --config: the weights alone do not say "
            "what model they are of"
        )
    return stable_audio_tools.read(source.path, source.config, weights, under, t5)


def card_licences(path: Path) -> tuple[str, ...]:
    """The licence that a model card beside foreign weights names; an unknown one counts as the strictest."""
    card = (path if path.is_dir() else path.parent) / "README.md"
    if card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")[:20_000]
        front = text.split("---", 2)[1] if text.startswith("---") and text.count("---") > 1 else ""
        for key in ("license_name", "license"):
            found = re.search(rf"^{key}:\s*['\"]?([\w.+-]+)", front, re.MULTILINE)
            if found and found[1] != "other":
                return (found[1],)
    return (UNKNOWN_LICENCE,)
