"""Reading a foreign config option by option, so that none is overlooked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from musegen.recipes import shorten

Kind = TypeVar("Kind", bound=object)
REQUIRED: Any = object()


class Options:
    """One section of a foreign config: what is not taken, and not known to be without effect, is an error.

    Args:
        data: the section.
        where: what errors call it.
    """

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, Mapping):
            raise ValueError(f"{where}: expected options by name, got {shorten(data)}")
        self.rest = dict(data)
        self.where = where

    def take(self, name: str, kind: type[Kind], default: Any = REQUIRED) -> Kind:
        """One option of a type; ``int`` takes no booleans, ``float`` takes integers.

        Raises:
            ValueError: if it is missing or of another type.
        """
        value = self.rest.pop(name, default)
        if value is REQUIRED:
            raise ValueError(f"{self.where}: expected {name}, got {', '.join(self.rest) or 'nothing'}")
        fits = isinstance(value, (int, float) if kind is float else kind)
        if value is not default and (not fits or (kind in (int, float) and isinstance(value, bool))):
            raise ValueError(f"{self.where}.{name}: expected {kind.__name__}, got {shorten(value)}")
        return cast(Kind, value)

    def size(self, name: str, default: Any = REQUIRED, least: int = 1) -> int:
        """A whole number up to a hundred million."""
        value = self.take(name, int, default)
        if not least <= value <= 100_000_000:
            raise ValueError(f"{self.where}.{name}: expected a size, got {value}")
        return value

    def sizes(self, name: str, default: Any = REQUIRED) -> list[int]:
        """A list of whole numbers."""
        values = self.take(name, list, default)
        if not all(type(value) is int and 0 < value <= 1_000_000 for value in values):
            raise ValueError(f"{self.where}.{name}: expected sizes, got {shorten(values)}")
        return list(values)

    def names(self, name: str) -> list[str]:
        """A list of names, empty where it is missing."""
        values = self.take(name, list, [])
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"{self.where}.{name}: expected names, got {shorten(values)}")
        return list(values)

    def section(self, name: str, default: Any = REQUIRED) -> Options:
        """A section below."""
        return Options(self.take(name, dict, default), f"{self.where}.{name}")

    def expect(self, name: str, *known: Any, default: Any = REQUIRED) -> Any:
        """One of a few values.

        Raises:
            ValueError: for a value that we have nothing like.
        """
        value = self.rest.pop(name, known[0] if default is REQUIRED else default)
        if value not in known:
            wanted = " or ".join(map(repr, known))
            raise ValueError(f"{self.where}.{name}: musegen has nothing like {shorten(value)}; it knows {wanted}")
        return value

    def ignore(self, *names: str) -> None:
        """Options that change neither weights nor what is computed from them."""
        for name in names:
            self.rest.pop(name, None)

    def finish(self) -> None:
        """Check that nothing of consequence is left.

        Raises:
            ValueError: naming what is.
        """
        for name, value in self.rest.items():
            if value:
                raise ValueError(f"{self.where}.{name}: musegen has nothing like it (got {shorten(value)})")
