"""What the app's rooms may import: layout in the pages alone, and what they do in plain functions."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "src" / "musegen" / "app"
BELOW = {
    "store": set(),
    "view": {"store", "work"},
    "work": {"store", "view"},
    "acts": {"store", "view", "work"},
    "pages": {"acts", "view", "work", "store"},
}
"""The rooms of the app that each may import from, besides itself; the server may from all."""

LAYOUT = {"__future__", "collections", "typing", "gradio", "musegen.app", "musegen.flow", "musegen.plugins"}
"""All that pages need: they hold layout only, and the names of what there is to choose from."""


def imported(file: Path) -> set[str]:
    """Modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("room", BELOW)
def test_rooms_import_only_those_below(room: str) -> None:
    for file in sorted((APP / room).glob("*.py")):
        for module in imported(file):
            parts = module.split(".")
            if parts[:2] == ["musegen", "app"]:
                assert parts[2] in {room, *BELOW[room]}, f"{file.name} imports {module}"
            if parts[0] == "gradio":
                assert room == "pages", (
                    f"{file.name}: only pages know Gradio, so that all else is tested without a browser"
                )
            if room == "pages":
                assert parts[0] in LAYOUT or ".".join(parts[:2]) in LAYOUT, f"{file.name} imports {module}"
