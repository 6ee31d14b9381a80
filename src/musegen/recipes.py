"""Objects from recipes, as a config file writes them: ``{"class_path": ..., "init_args": {...}}``.

A recipe may come with a file of weights from anywhere, so nothing in it is believed: a class must lie under
``musegen.`` or under a package that the user named, which is checked before anything is imported; it must be a
`Configurable` class that its module itself defines, of the type that its place asks for.
"""

from __future__ import annotations

import importlib
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, Union, cast

from musegen.config import Configurable

Slot = TypeVar("Slot")

CLASS_PATH = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)+", re.ASCII)
MAX_PATH = 200
MAX_DEPTH = 32
MAX_ITEMS = 100_000


def build(config: Mapping[str, Any], slot: type[Slot], trust: Sequence[str] = (), where: str = "model") -> Slot:
    """Build the object that a recipe describes.

    Args:
        config: ``{"class_path": ..., "init_args": {...}}``; arguments are plain data or recipes themselves.
        slot: the type that is asked for; an argument's type is that of the constructor's annotation.
        trust: packages besides musegen whose classes may be named. Importing them runs their code.
        where: what errors call the recipe.

    Raises:
        ValueError: in one line, for whatever is wrong with the recipe.
    """
    for package in trust:
        if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", package, re.ASCII):
            raise ValueError(f"trust: expected the name of a package, got {shorten(package)}")
    _check_size(config, where)
    return cast(Slot, _Builder(tuple(trust)).build(config, (slot,), where))


def find_class(class_path: Any, slots: Sequence[type], trust: Sequence[str] = (), where: str = "model") -> type:
    """The class that a class path names; see `build`."""
    wanted = " or ".join(f"a {slot.__name__}" for slot in slots)
    if not isinstance(class_path, str) or len(class_path) > MAX_PATH or not CLASS_PATH.fullmatch(class_path):
        raise ValueError(f"{where}: expected the class path of {wanted}, got {shorten(class_path)}")
    if not any(class_path.startswith(f"{package}.") for package in ("musegen", *trust)):
        package = class_path.partition(".")[0]
        raise ValueError(
            f"{where}: expected {wanted} under musegen., got {class_path}; it is not imported "
            f"unless the package is trusted (--trust-plugins {package})"
        )
    module_path, _, name = class_path.rpartition(".")
    try:
        module = importlib.import_module(module_path)
    except Exception as error:
        raise ValueError(f"{where}: no class {class_path}: {first_line(error)}") from error
    found = vars(module).get(name)
    if not inspect.isclass(found) or found.__module__ != module_path or found.__qualname__ != name:
        raise ValueError(f"{where}: expected {wanted}, got {class_path}, which is no class that {module_path} defines")
    if not issubclass(found, Configurable) or not issubclass(found, tuple(slots)):
        raise ValueError(f"{where}: expected {wanted}, got {class_path}")
    if inspect.isabstract(found):
        raise ValueError(f"{where}: expected {wanted}, got {class_path}, which is only a base class")
    return found


class _Builder:
    def __init__(self, trust: tuple[str, ...]) -> None:
        self.trust = trust

    def build(self, config: Any, slots: Sequence[type], where: str) -> Any:
        if not isinstance(config, Mapping) or "class_path" not in config or set(config) - {"class_path", "init_args"}:
            raise ValueError(f"{where}: expected class_path and init_args, got {shorten(config)}")
        found = find_class(config["class_path"], slots, self.trust, where)
        given = config.get("init_args") or {}
        if not isinstance(given, Mapping):
            raise ValueError(f"{where}: init_args: expected arguments by name, got {shorten(given)}")
        arguments = self._arguments(found, given, where)
        try:
            return found(**arguments)
        except Exception as error:
            raise ValueError(f"{where}: {found.__name__}: {first_line(error)}") from error

    def _arguments(self, found: type, given: Mapping[str, Any], where: str) -> dict[str, Any]:
        parameters = dict(list(inspect.signature(found.__init__).parameters.items())[1:])
        unknown = sorted(str(name) for name in set(given) - set(parameters))
        if unknown:
            known = ", ".join(parameters) or "none"
            raise ValueError(f"{where}: {found.__name__} has no argument {', '.join(unknown)}; expected among: {known}")
        missing = [name for name, one in parameters.items() if one.default is one.empty and name not in given]
        if missing:
            raise ValueError(f"{where}: {found.__name__} needs {', '.join(missing)}")
        try:
            hints = typing.get_type_hints(found.__init__)
        except NameError as error:
            raise ValueError(f"{where}: {found.__name__}: its arguments' types are unknown: {error}") from None
        return {name: self._argument(value, hints.get(name, Any), f"{where}.{name}") for name, value in given.items()}

    def _argument(self, value: Any, hint: Any, where: str) -> Any:
        """Check a value against an annotation, and build the recipes in it."""
        choices = _choices(hint)
        if isinstance(value, Mapping) and "class_path" in value:
            slots = [choice for choice in choices if inspect.isclass(choice) and issubclass(choice, Configurable)]
            if slots:
                return self.build(value, slots, where)
        for choice in choices:
            fits, built = self._fit(value, choice, where)
            if fits:
                return built
        raise ValueError(f"{where}: expected {_name(hint)}, got {shorten(value)}")

    def _fit(self, value: Any, choice: Any, where: str) -> tuple[bool, Any]:
        """Whether a value is of one type, and what it becomes."""
        origin, inside = typing.get_origin(choice), typing.get_args(choice)
        kind = origin or choice
        if choice is Any:
            return True, value
        if choice is None or choice is type(None):
            return value is None, None
        if origin is Literal:
            return any(value == one and type(value) is type(one) for one in inside), value
        if kind is float:
            return isinstance(value, int | float) and not isinstance(value, bool), value
        if kind in (bool, int, str):
            return type(value) is kind, value
        if isinstance(value, Mapping):
            fits = kind in (dict, Mapping) and all(isinstance(name, str) for name in value)
            hint = inside[1] if inside else Any
            return fits, fits and {name: self._argument(one, hint, f"{where}.{name}") for name, one in value.items()}
        if isinstance(value, list | tuple) and kind in (list, tuple, Sequence):
            hint = inside[0] if inside else Any
            items = [self._argument(one, hint, f"{where}[{index}]") for index, one in enumerate(value)]
            return True, tuple(items) if kind is tuple else items
        return False, None


def shorten(value: Any, length: int = 80) -> str:
    """A value as an error shows it, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= length else f"{text[:length]} …"


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return shorten(lines[0], 400).strip("'\"") if lines else type(error).__name__


def _choices(hint: Any) -> list[Any]:
    """The members of a union, in order; the annotation itself where it is none."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [choice for member in typing.get_args(hint) for choice in _choices(member)]
    return [hint]


def _name(hint: Any) -> str:
    """An annotation as a user reads it."""
    names = [choice.__name__ if inspect.isclass(choice) else str(choice) for choice in _choices(hint)]
    return " or ".join("None" if name == "NoneType" else name.replace("typing.", "") for name in names)


def _check_size(config: Any, where: str) -> None:
    """Refuse what is nested too deeply, or too long, before anything walks through it."""
    level, items = [config], 0
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                below += one.values()
            elif isinstance(one, list | tuple):
                below += one
        items += len(below)
        if items > MAX_ITEMS:
            raise ValueError(f"{where}: expected at most {MAX_ITEMS} values, got more")
        if not below:
            return
        level = below
    raise ValueError(f"{where}: expected at most {MAX_DEPTH} levels of nesting, got more")
