"""The ``musegen`` command.

``fit``, ``validate``, ``test`` and ``predict`` are LightningCLI's. Every other command is a function in a file of its
own name under ``musegen.commands``; adding a file there adds a command.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path

TRAINER_COMMANDS = {
    "fit": "Train a model, from YAML.",
    "validate": "Measure a model's held-out losses.",
    "test": "Measure a model's losses on the test shards.",
    "predict": "Sample: prompts to embedding shards, or embedding shards to audio.",
}


def main(arguments: list[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line on standard error and exit status 2.

    With ``MUSEGEN_TRACEBACK=1`` in the environment it ends in the whole stack of calls, as any other error does anyway.
    """
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
    arguments = sys.argv[1:] if arguments is None else arguments
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help"):
        print(_help())
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
            from musegen.arguments import call

            module = importlib.import_module(f"musegen.commands.{command}")
            call(getattr(module, command), rest, prog=f"musegen {command}")
    except KeyboardInterrupt:
        _fail("interrupted", status=130)
    except Exception as error:
        from musegen.mistakes import explain, is_mistake

        if os.environ.get("MUSEGEN_TRACEBACK") or not is_mistake(error):
            raise
        _fail(explain(error))


def _commands() -> dict[str, str]:
    """Names and first lines of the commands, read without importing them."""
    package = importlib.util.find_spec("musegen.commands")
    assert package is not None
    assert package.submodule_search_locations is not None
    found = {}
    for folder in package.submodule_search_locations:
        for module in pkgutil.iter_modules([folder]):
            source = (Path(folder) / f"{module.name}.py").read_text(encoding="utf-8")
            found[module.name] = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    return dict(sorted(found.items()))


def _help() -> str:
    commands = {**TRAINER_COMMANDS, **_commands()}
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {line}" for name, line in commands.items()]
    return "\n".join(["usage: musegen COMMAND [arguments]   (musegen COMMAND --help says more)", "", *lines])


def _fail(message: str, status: int = 2) -> None:
    line = " ".join(message.split())
    print(f"musegen: {line}", file=sys.stderr)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
