"""What can be wrong with a piece of a corpus: said by kind, to be counted, and by name, to be found."""

from __future__ import annotations

from dataclasses import dataclass


class UnusableError(ValueError):
    """A piece cannot be used.

    Args:
        kind: what is wrong, in the words under which such pieces are counted: ``no audio file``.
        detail: what is wrong with this one.
    """

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind, self.detail = kind, detail

    def __reduce__(self) -> tuple[type[UnusableError], tuple[str, str]]:
        return type(self), (self.kind, self.detail)


@dataclass(frozen=True)
class Skip:
    """A piece that was left out.

    Args:
        name: of the piece, as its corpus calls it: a path, an id, a line of a table.
        kind: see `UnusableError`.
        detail: see `UnusableError`.
    """

    name: str
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.detail or self.kind}"
