"""Weights from anybody's files: safetensors, or what torch saved, of which only plain data is believed."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.recipes import first_line
from musegen.tensor_files import describe_file, read_tensors


def is_torch_file(path: Path) -> bool:
    """Whether a file is what torch.save writes: a zip archive, or (before 2020) a bare pickle.

    A safetensors file begins with the size of its header, which may look like either; after it comes a brace.
    """
    with open(path, "rb") as file:
        beginning = file.read(9)
    return beginning.startswith((b"PK\x03\x04", b"\x80")) and not beginning.endswith(b"{")


def read_torch_file(path: Path) -> Any:
    """Load what torch saved, without running anything that it names.

    Raises:
        ValueError: in one line, if it is damaged or holds anything but tensors and plain data.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _load(path)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"one that names {named[1]}" if named else "something else"
        raise ValueError(f"{path}: expected a checkpoint of plain tensors, got {what}; nothing of it was run") from None
    except (RuntimeError, EOFError, KeyError, AttributeError, IndexError, TypeError, ValueError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            raise  # it cannot even be opened
        reason = first_line(error)
        raise ValueError(f"{path}: expected a checkpoint, got a truncated or damaged one: {reason}") from None


def _load(path: Path) -> Any:
    """Load mapped from the disk where that is possible; torch would go by a file's name, and takes no map then."""
    if path.suffix != ".safetensors":
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            if "mmap can only be used" not in str(error):
                raise
    with open(path, "rb") as file:
        return torch.load(file, map_location="cpu", weights_only=True)


def read_any(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """Tensors by name from a safetensors file or from one of torch, and what else the latter holds.

    Raises:
        ValueError: in one line.
    """
    if not path.is_file():
        raise ValueError(f"expected a file of weights, got none at {path}")
    if not is_torch_file(path):
        return read_tensors(path), {}
    loaded = read_torch_file(path)
    if not isinstance(loaded, Mapping):
        raise ValueError(f"{path}: expected tensors by name, got {type(loaded).__name__}")
    state = loaded.get("state_dict", loaded)
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: state_dict: expected tensors by name, got {type(state).__name__}")
    tensors = {str(name): tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    if not tensors:
        raise ValueError(f"{path}: expected tensors by name, got {describe_file(path)} without any")
    return tensors, {} if state is loaded else loaded
