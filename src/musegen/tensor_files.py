"""Safetensors files in and out, and a few words on what another file seems to be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from musegen.recipes import first_line

Progress = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}

BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive, as torch.save writes it (.ckpt, .pt)"),
    (b"\x80", "a pickle"),
    (b"\x93NUMPY", "a numpy array"),
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself"),
    (b"<", "a web page"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"RIFF", "audio"),
    (b"fLaC", "audio"),
    (b"{", "JSON"),
)

CONTENTS = (
    ("diffusion_ema.", "a stable-audio-tools training checkpoint"),
    ("diffusion.", "a stable-audio-tools training checkpoint"),
    ("autoencoder_ema.", "a stable-audio-tools autoencoder's training checkpoint"),
    ("autoencoder.", "a stable-audio-tools autoencoder's training checkpoint"),
    ("conditioner.conditioners.", "a stable-audio-tools model"),
    ("model.model.transformer.layers.", "a stable-audio-tools diffusion model"),
    ("model.transformer.layers.", "a stable-audio-tools transformer wrapped in 'model.'"),
    ("transformer.layers.", "a stable-audio-tools transformer"),
    ("transformer_blocks.", "a diffusers transformer"),
    ("start_number_conditioner.", "a diffusers projection model"),
    ("encoder.block.0.res_unit1.", "a diffusers AutoencoderOobleck"),
    ("decoder.block.0.res_unit1.", "a diffusers AutoencoderOobleck"),
    ("model.network.", "a musegen flow model wrapped in 'model.'"),
    ("network.", "a musegen flow model"),
    ("model.encoder.layers.0.weight_g", "an Oobleck autoencoder wrapped in 'model.'"),
    ("encoder.layers.0.weight_g", "an Oobleck autoencoder"),
    ("decoder.layers.0.weight_g", "an Oobleck decoder"),
    ("pretransform.model.", "a stable-audio-tools autoencoder"),
    ("encoder.block.", "a T5 text encoder"),
    ("mulan.", "a MuQ-MuLan model"),
)


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file; nothing is read yet but the names.

    Yields:
        What `safetensors.safe_open` gives: ``keys()``, ``get_slice(name)``, ``get_tensor(name)``, ``metadata()``.

    Raises:
        ValueError: if it is no such file, or a damaged one.
        OSError: if it cannot be read.
    """
    if not path.is_file():
        raise ValueError(f"expected a safetensors file, got none at {path}")
    try:
        opened = safe_open(path, framework="pt")
    except SafetensorError as error:
        raise ValueError(f"{path}: expected a safetensors file, got {describe_file(path, error)}") from None
    with opened as file:
        yield file


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, mapped from the disk: nothing takes memory until it is used.

    Raises:
        ValueError: if it is no such file, or a damaged one.
    """
    with open_tensors(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def write_tensors(
    path: Path,
    state: Mapping[str, Tensor],
    dtypes: Mapping[str, torch.dtype] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a safetensors file tensor by tensor, so that a large model needs no memory for a second copy.

    Args:
        path: of the file.
        state: tensors by name, on any device.
        dtypes: what to cast tensors to, by name; the others stay.
        progress: told after each tensor.

    Raises:
        OSError: if it cannot be written.
    """
    cast = {name: (dtypes or {}).get(name, tensor.dtype) for name, tensor in state.items()}
    names = sorted(state, key=lambda name: (-cast[name].itemsize, name))  # widest first, so that all are aligned
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in names:
        start, end = end, end + state[name].numel() * cast[name].itemsize
        header[name] = {"dtype": DTYPES[cast[name]], "shape": list(state[name].shape), "data_offsets": [start, end]}
    beginning = json.dumps(header, separators=(",", ":")).encode()
    beginning += b" " * (-len(beginning) % 8)
    with open(path, "wb") as file:
        file.write(len(beginning).to_bytes(8, "little") + beginning)
        done = 0
        for name in names:
            tensor = state[name].detach().to("cpu", cast[name]).contiguous()
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)
            done += tensor.nbytes
            if progress is not None:
                progress(done, end)
        file.flush()
        os.fsync(file.fileno())


def describe_file(path: Path, error: Exception | None = None) -> str:
    """What a file that is no safetensors file seems to be, by its first bytes."""
    with open(path, "rb") as file:
        beginning = file.read(1024)
    size = os.path.getsize(path)
    if not beginning:
        return "an empty file"
    header = int.from_bytes(beginning[:8], "little")
    if beginning[8:9] == b"{" and size < 8 + header:
        return f"a truncated one ({size} bytes, its header alone has {header})"
    for signature, kind in BEGINNINGS:
        if beginning.startswith(signature) and beginning[8:9] != b"{":  # any size of a header may look like another
            return kind
    reason = first_line(error) if error is not None else ""
    if "incomplete metadata" in reason:
        return f"a truncated one (its {size} bytes are not what its header says)"
    return f"something else ({reason or 'unknown format'})"


def describe_names(names: Collection[str]) -> str:
    """What a set of tensors seems to be, by their names."""
    if not names:
        return "an empty file"
    for start, kind in CONTENTS:
        if any(name.startswith(start) for name in names):
            return kind
    return f"something else (its first tensor is {min(names)})"


def describe_difference(expected: Collection[str], got: Collection[str]) -> str | None:
    """One line on how the names of a file differ from those that were expected; None where they do not."""
    missing, unexpected = sorted(set(expected) - set(got)), sorted(set(got) - set(expected))
    if not missing and not unexpected:
        return None
    parts = [f"missing {_list(missing)}"] if missing else []
    parts += [f"unexpected {_list(unexpected)}"] if unexpected else []
    prefix = _wrapping(set(expected), set(got))
    what = f"the same wrapped in {prefix!r}" if prefix else describe_names(got)
    return f"{'; '.join(parts)}; the file seems to be {what}"


def _wrapping(expected: set[str], got: set[str]) -> str:
    """A prefix under which everything that is expected is there; empty without one."""
    if not expected or expected & got:
        return ""
    probe = min(expected)
    prefixes = {name.removesuffix(probe) for name in got if name.endswith(f".{probe}")}
    found = [prefix for prefix in sorted(prefixes) if all(prefix + name in got for name in expected)]
    return found[0] if found else ""


def _list(names: list[str], most: int = 3) -> str:
    """How many names, and the first of them."""
    shown = ", ".join(names[:most])
    return f"{len(names)} ({shown}{', …' if len(names) > most else ''})"
