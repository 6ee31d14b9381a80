"""The ``musegen`` command.

``fit``, ``validate``, ``test`` and ``predict`` are LightningCLI's. Every other command is a function in a file of its
own name under ``musegen.commands``; adding a file there adds a command. A file that names a ``ROOM`` instead stands for
many: the functions of that room, likewise.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from musegen.allocator import keep_freed_memory

TRAINER_COMMANDS = {
    "fit": "Train a model, from YAML.",
    "validate": "Measure a model's held-out losses.",
    "test": "Measure a model's losses on the test shards.",
    "predict": "Sample: prompts to embedding shards, or embedding shards to audio.",
}


SPIN = "1000"
"""How often torch's threads on a CPU look for more work before they sleep. Their own choice, 300,000, is no quicker on
idle cores; where other programs keep the cores busy, a clip took ten times as long with it. No bits depend on it."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line on standard error and exit status 2.

    With ``MUSEGEN_TRACEBACK=1`` in the environment it ends in the whole stack of calls, as any other error does anyway.
    """
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPIN
    keep_freed_memory()
    arguments = sys.argv[1:] if arguments is None else arguments
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help"):
        print(_help("musegen", {**TRAINER_COMMANDS, **_commands()}))
        return
    if command in ("-V", "--version"):
        from musegen import __version__

        print(__version__)
        return
    if command not in TRAINER_COMMANDS and command not in _commands():
        _fail(f"unknown command {command!r}; expected one of {', '.join([*TRAINER_COMMANDS, *_commands()])}")
    try:
        if command in TRAINER_COMMANDS:
            from musegen.trainer_cli import run

            run(arguments)
        else:
            _call(f"musegen.commands.{command}", rest, prog=f"musegen {command}")
    except KeyboardInterrupt:
        _fail("interrupted", status=130)
    except Exception as error:
        from musegen.mistakes import explain, is_mistake

        if os.environ.get("MUSEGEN_TRACEBACK") or not is_mistake(error):
            raise
        _fail(explain(error))


def _call(path: str, arguments: list[str], prog: str) -> None:
    """Call the function that a module is named after, or the one that the arguments choose of the module's room."""
    module = importlib.import_module(path)
    room = getattr(module, "ROOM", None)
    if room is None:
        from musegen.arguments import call

        call(getattr(module, path.rpartition(".")[2]), arguments, prog)
        return
    known = _commands(room)
    choice, *rest = arguments or ["--help"]
    if choice in ("-h", "--help"):
        print(_help(prog, known))
        return
    if choice not in known:
        raise ValueError(f"{prog.partition(' ')[2]}: expected one of {', '.join(known)}, got {choice!r}")
    _call(f"{room}.{choice}", rest, f"{prog} {choice}")


def _commands(room: str = "musegen.commands") -> dict[str, str]:
    """Names and first lines of a room's commands, read without importing them."""
    package = importlib.util.find_spec(room)
    assert package is not None
    assert package.submodule_search_locations is not None
    found = {}
    for folder in package.submodule_search_locations:
        for module in pkgutil.iter_modules([folder]):
            source = ast.parse((Path(folder) / f"{module.name}.py").read_text(encoding="utf-8"))
            if {module.name, "ROOM"} & set(_defined(source)):
                found[module.name] = (ast.get_docstring(source) or "").partition("\n")[0]
    return dict(sorted(found.items()))


def _defined(source: ast.Module) -> Iterator[str]:
    """Names of a module's functions and constants."""
    for node in source.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _help(prog: str, commands: dict[str, str]) -> str:
    width = max(map(len, commands), default=0)
    lines = [f"  {name:<{width}}  {line}" for name, line in commands.items()]
    return "\n".join([f"usage: {prog} COMMAND [arguments]   ({prog} COMMAND --help says more)", "", *lines])


def _fail(message: str, status: int = 2) -> None:
    line = " ".join(message.split())
    print(f"musegen: {line}", file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
