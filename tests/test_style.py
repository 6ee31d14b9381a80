"""The rules that hold for every file: the linters pass, and imports go only down the floors."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "musegen"
FLOORS = [
    ["allocator", "config", "files", "licences", "mistakes", "torchaudio_guard", "devices"],
    ["recipes"],
    ["tensor_files", "int8_tensors"],
    ["audio"],
    ["kernels"],
    ["nn"],
    ["models"],
    ["checkpoints"],
    ["plugins"],
    ["conditioning"],
    ["flow"],
    ["interop"],  # below the stages: fine-tuning starts from foreign checkpoints
    ["data"],
    ["stages"],
    ["callbacks"],
    ["metrics"],
    ["fingerprint"],
    ["generation"],
    ["pipeline"],
    ["bench"],
    ["app"],
    ["commands"],
    ["arguments"],
    ["trainer_cli"],
    ["cli"],
]
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.AST) -> list[str]:
    """Names of musegen's modules that a file imports, wherever it does."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return [name for name in found if name.startswith("musegen.")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_go_down_the_floors(file: Path) -> None:
    if file == PACKAGE / "__init__.py":
        return
    room = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported(ast.parse(file.read_text(encoding="utf-8"))):
        other = module.split(".")[1]
        assert other == room or FLOOR[other] < FLOOR[room], f"{file.name} in {room} imports {module}, which lies above"


def test_packages_are_empty() -> None:
    for file in FILES:
        if file.name == "__init__.py" and file.parent != PACKAGE:
            assert file.read_text(encoding="utf-8") == "", f"{file} is not empty"


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["pyright"]],
    ids=["ruff", "format", "pyright"],
)
def test_linters_pass(command: list[str]) -> None:
    tool = Path(sys.executable).parent / command[0]
    result = subprocess.run([str(tool), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]
