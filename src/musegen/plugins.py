"""Plug-ins by short name: a file is called what its class is asked for by, so there is no list to keep in step."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from musegen.checkpoints import build
from musegen.config import Configurable

Slot = TypeVar("Slot", bound=Configurable)


def choose(choice: str | Mapping[str, Any] | Slot, slot: type[Slot], room: str, trust: Sequence[str] = ()) -> Slot:
    """Build what a user chose for a slot.

    Args:
        choice: a short name (``heun`` is the class in ``<room>/heun.py``), a class path, a recipe
            ``{"class_path": …, "init_args": …}`` (as a mapping or as JSON), or the object itself.
        slot: the abstract base class.
        room: the package that short names are looked up in.
        trust: packages besides musegen whose classes may be built.

    Raises:
        ValueError: for an unknown name, listing the known ones; for a class of another slot or of an untrusted package.
    """
    if isinstance(choice, slot):
        return choice
    where = slot.__name__.lower()
    if isinstance(choice, str) and choice.lstrip().startswith("{"):
        try:
            choice = json.loads(choice)
        except ValueError as error:
            raise ValueError(f"{where}: expected a name or JSON, got {choice!r}: {error}") from None
    if isinstance(choice, str):
        choice = {"class_path": choice if "." in choice else class_path(choice, slot, room), "init_args": {}}
    if not isinstance(choice, Mapping):
        raise ValueError(f"{where}: expected a name or a {slot.__name__}, got {type(choice).__name__}")
    return build(choice, slot, trust, where)


def class_path(name: str, slot: type, room: str) -> str:
    """The class path of a plug-in's short name.

    Raises:
        ValueError: for an unknown name, listing the known ones.
    """
    module = name.replace("-", "_")
    found = _plugin(module, slot, room) if module in _modules(room) else None
    if found is None:
        raise ValueError(f"unknown {slot.__name__.lower()} {name!r}; expected one of {', '.join(names(slot, room))}")
    return f"{found.__module__}.{found.__qualname__}"


def names(slot: type, room: str) -> list[str]:
    """The short names of a room's plug-ins."""
    return [module for module in _modules(room) if _plugin(module, slot, room)]


def _modules(room: str) -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(importlib.import_module(room).__path__))


def _plugin(module: str, slot: type, room: str) -> type | None:
    """The first concrete class of a slot that a module defines; None where there is none."""
    path = f"{room}.{module}"
    for item in vars(importlib.import_module(path)).values():
        if (
            inspect.isclass(item)
            and issubclass(item, slot)
            and item.__module__ == path
            and not inspect.isabstract(item)
        ):
            return item
    return None
