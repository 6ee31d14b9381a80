"""Convert models between musegen, stable-audio-tools and diffusers, and export training checkpoints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from musegen.tensor_files import Progress


def convert(
    source: Path,
    out: Path,
    to: Literal["musegen", "stable-audio-tools", "diffusers"] = "musegen",
    weights: Literal["ema", "raw"] = "ema",
    dtype: Literal["float32", "bfloat16", "float16", "int8"] | None = None,
    config: Path | None = None,
    licence: list[str] | str | None = None,
    t5: str | None = None,
    trust_plugins: list[str] | str | None = None,
) -> Path:
    """Convert a model to another format, or take it out of a training checkpoint.

    Args:
        source: a folder or file of musegen, stable-audio-tools or diffusers, or a Lightning checkpoint of musegen's
            stages; which it is, is found out.
        out: a new or empty folder.
        to: the format to write.
        weights: of a training checkpoint, the averaged weights (the raw ones where nothing was averaged), or the raw.
        dtype: of the weights in the new files; by default as they are. int8 is of musegen's folders alone: float16, but
            for larger matrices, which are whole numbers and a scale for each row; once read, they are float32.
        config: model_config.json of stable-audio-tools, if it does not lie beside the weights.
        licence: SPDX names of what a foreign model is under; by default what its model card says.
        t5: folder or hub's name of the T5 that a foreign model reads captions with; by default what its config says.
        trust_plugins: packages, besides musegen, whose classes a model folder may name. Their code runs.

    Returns:
        The new folder, which is also printed.
    """
    import torch

    from musegen.interop import diffusers_format, musegen_format, stable_audio_tools
    from musegen.interop.recognise import read, recognise

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"out: expected a new or an empty folder, got {out}")
    if dtype == "int8" and to != "musegen":
        raise ValueError(
            f"dtype: expected float32, bfloat16 or float16 for {to}, got int8, which musegen's folders have"
        )
    found = recognise(source, config)
    print(f"{source}: {found.format}", file=sys.stderr)
    parts = read(found, weights=weights, licences=_words(licence), t5=t5, trust=_words(trust_plugins))
    for name, part in parts.items():
        count = sum(tensor.numel() for tensor in part.state.values())
        under = ", ".join(part.licences) or "no licence named"
        print(f"{name}: {type(part.model).__name__}, {count:,} numbers, {under}", file=sys.stderr)
    chosen = None if dtype is None else getattr(torch, dtype)
    with _progress_bar() as progress:
        if to == "musegen":
            settings = musegen_format.read_settings(found.path) if found.format == "musegen" else None
            musegen_format.write(parts, out, chosen, progress, settings)
        elif to == "diffusers":
            diffusers_format.write(parts, out, chosen, progress)
        else:
            stable_audio_tools.write(parts, out, chosen, progress)
    print(out)
    return out


def _words(given: list[str] | str | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


@contextmanager
def _progress_bar() -> Iterator[Progress]:
    """A bar on standard error, of bytes written."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("writing"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("writing", total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
