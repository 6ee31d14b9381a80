"""Models on disk: a folder with ``config.json``, which says what the model is, and ``model.safetensors``.

A folder may come from anywhere: loading one runs no code but musegen's own and that of packages which the user trusts
by name; see `musegen.recipes`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from musegen.config import Configurable
from musegen.files import whole_folder
from musegen.int8_tensors import WideFile, narrow_matrices
from musegen.nn.precise import Precise
from musegen.recipes import build, first_line, shorten
from musegen.tensor_files import Progress, describe_difference, open_tensors, write_tensors

FORMAT = "musegen"
VERSION = 1
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
MAX_JSON = 16 << 20  # bytes
SMALL = 64 << 20  # numbers of a model that is built with memory
FACTORIES = (torch.empty, torch.zeros, torch.ones, torch.randn, torch.rand)  # what parameters begin as

Slot = TypeVar("Slot")


def save_model(
    model: nn.Module,
    folder: str | Path,
    *,
    licences: Iterable[str],
    training: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    state: Mapping[str, Tensor] | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a model folder, whole or not at all.

    Args:
        model: a `Configurable` module.
        folder: made if missing; files of these names in it are replaced, others stay.
        licences: SPDX names of what the model was made from.
        training: what else is worth knowing about how it came to be; plain data.
        dtype: of the floating-point weights on disk; None for what they are. Values that a cast must not round
            (frequencies, the data's statistics) keep theirs. int8 is float16 but for larger matrices; see
            `musegen.int8_tensors`.
        state: the tensors, where the model itself is an empty one.
        progress: told how many bytes are written, and of how many.

    Raises:
        OSError: on a full disk or an unwritable folder.
    """
    if not isinstance(model, Configurable):
        raise TypeError(f"expected a Configurable module, got {type(model).__name__}")
    config: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.config,
        "licences": sorted(set(licences)),
    }
    if training is not None:
        config["training"] = training
    state = model.state_dict() if state is None else state
    with whole_folder(Path(folder)) as temporary:
        write_json(temporary / CONFIG, config)
        if dtype == torch.int8:
            types = cast_types(state, model, torch.float16)
            state = narrow_matrices(state, types)
            types = {name: half for name, half in types.items() if state[name].is_floating_point()}
        else:
            types = cast_types(state, model, dtype)
        write_tensors(temporary / WEIGHTS, state, types, progress)


def load_model(
    folder: str | Path,
    slot: type[Slot],
    trust: Sequence[str] = (),
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
) -> Slot:
    """Load a model folder.

    Weights of fewer bits are widened to the model's own type, so that what a model computes does not depend on what it
    is stored in. The model is built, a large one without memory, and then given the file's tensors.

    Args:
        folder: holds ``config.json`` and ``model.safetensors``.
        slot: what the model must be.
        trust: packages besides musegen whose classes the config may name. Importing them runs their code.
        device: where to.
        dtype: cast the model to it while loading; None for float32.

    Raises:
        ValueError: in one line, if the folder does not hold such a model.
        OSError: if its files cannot be read.
    """
    folder = Path(folder)
    recipe = read_config(folder)["model"]
    model = build_to_fill(recipe, slot, trust, where=f"{folder / CONFIG}: model")
    if dtype is not None:
        model.to(dtype)
    with open_tensors(folder / WEIGHTS) as file:
        wide, expected = WideFile(file, folder / WEIGHTS), model.state_dict()
        check_tensors(expected, wide.shapes(), folder / WEIGHTS)
        # copied, not mapped: how a sum rounds depends on where in memory its numbers lie
        state = {name: wide.tensor(name).to(device, like.dtype, copy=True) for name, like in expected.items()}
    assign(model, state, device)
    return cast(Slot, model)


def read_config(folder: str | Path) -> dict[str, Any]:
    """What a model folder's ``config.json`` says: ``model`` (a recipe), ``licences``, perhaps ``training``.

    Raises:
        ValueError: if the folder is no model folder.
    """
    folder = Path(folder)
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"expected a model folder with {CONFIG} and {WEIGHTS}, got {_describe(folder)}")
    config = read_json(path)
    found = config.get("format") if isinstance(config, dict) else None
    if not isinstance(config, dict) or found != FORMAT or not isinstance(config.get("model"), dict):
        raise ValueError(f"{path}: expected format {FORMAT!r} with a model, got {_describe_config(config)}")
    if config.get("version") != VERSION:
        raise ValueError(f"{path}: expected version {VERSION}, got {shorten(config.get('version'))}")
    licences = config.get("licences", [])
    if not isinstance(licences, list) or not all(isinstance(licence, str) for licence in licences):
        raise ValueError(f"{path}: licences: expected a list of names, got {shorten(licences)}")
    return {**config, "licences": licences}


def read_licences(folder: str | Path) -> list[str]:
    """The licences of what a model folder's weights were made from."""
    return read_config(folder)["licences"]


def build_empty(recipe: Mapping[str, Any], slot: type[Slot], trust: Sequence[str], where: str) -> nn.Module:
    """Build a module whose tensors have no memory yet: at once, however large it is."""
    with torch.device("meta"):
        model = build(recipe, slot, trust, where)
    return _checked(model, where)


def _checked(model: Any, where: str) -> nn.Module:
    if not isinstance(model, nn.Module):
        raise ValueError(f"{where}: expected a network, got {type(model).__name__}")
    return model


def build_to_fill(recipe: Mapping[str, Any], slot: type[Slot], trust: Sequence[str], where: str) -> nn.Module:
    """Build a module that is given its tensors next: a small one as it is, a large one as `build_empty` does.

    For tensors without memory torch imports its compiler, which takes longer than to draw what a small model begins
    with. What is drawn leaves torch's generator as it was.
    """
    try:
        with torch.random.fork_rng(devices=[]), _Small():
            model = build(recipe, slot, trust, where)
    except _LargeError:
        return build_empty(recipe, slot, trust, where)
    return _checked(model, where)


class _LargeError(BaseException):
    """A module has grown beyond what is built with memory; no constructor's business, and so no `Exception`."""


class _Small(TorchFunctionMode):
    """Stops before tensors are made that hold more than `SMALL` numbers altogether."""

    numbers = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in FACTORIES:
            size = args or (kwargs.get("size", ()),)
            self.numbers += math.prod(size if isinstance(size[0], int) else size[0])
            if self.numbers > SMALL:
                raise _LargeError
        return func(*args, **kwargs)


def check_tensors(expected: Mapping[str, Tensor], got: Mapping[str, Sequence[int]], where: Path | str) -> None:
    """Compare names and shapes.

    Raises:
        ValueError: in one line, saying what the file seems to be.
    """
    difference = describe_difference(expected.keys(), got.keys())
    if difference is not None:
        raise ValueError(f"{where}: expected {len(expected)} tensors, got {len(got)}: {difference}")
    for name, tensor in expected.items():
        if list(tensor.shape) != list(got[name]):
            raise ValueError(f"{where}: {name}: expected shape {list(tensor.shape)}, got {list(got[name])}")


def assign(model: nn.Module, state: Mapping[str, Tensor], device: torch.device | str = "cpu") -> None:
    """Give an empty module its tensors, without copying them."""
    training = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    model.load_state_dict(state, strict=True, assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(training[name])
    for name, buffer in model.named_buffers():
        if buffer.is_meta:
            raise ValueError(f"{type(model).__name__}: the buffer {name} is not saved: it must name its device itself")
    model.to(device)


def cast_types(state: Mapping[str, Tensor], model: nn.Module, dtype: torch.dtype | None) -> dict[str, torch.dtype]:
    """The types that a model's tensors have after a cast: its modules keep some of them precise."""
    if dtype is None:
        return {}
    parts = [(prefix, part) for prefix, part in model.named_modules() if isinstance(part, Precise)]
    kept = {f"{prefix}.{name}".lstrip(".") for prefix, part in parts for name in part.state_dict()}
    return {name: dtype for name, tensor in state.items() if tensor.is_floating_point() and name not in kept}


def read_json(path: Path) -> Any:
    """Read strict JSON: no NaN, no endless nesting.

    Raises:
        ValueError: in one line.
    """
    if path.stat().st_size > MAX_JSON:
        raise ValueError(f"{path}: expected at most {MAX_JSON} bytes of JSON, got {path.stat().st_size}")

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no number")

    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON: {first_line(error)}") from None


def write_json(path: Path, data: Any) -> None:
    """Write strict, readable JSON."""
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _describe(folder: Path) -> str:
    """What a place without ``config.json`` is."""
    if folder.is_file():
        return f"the file {folder}; musegen convert makes a folder of it"
    if not folder.exists():
        return f"nothing at {folder}"
    held = sorted(item.name for item in folder.iterdir())[:6]
    return f"{folder}, which holds {', '.join(held) or 'nothing'}"


def _describe_config(config: Any) -> str:
    """What a foreign ``config.json`` is."""
    if not isinstance(config, dict):
        return type(config).__name__
    for key, kind in (("_class_name", "diffusers"), ("model_type", "transformers or stable-audio-tools")):
        if key in config:
            return f"a config of {kind} ({key} {config[key]!r})"
    return f"the keys {', '.join(sorted(map(str, config)))[:80] or 'nothing'}"
