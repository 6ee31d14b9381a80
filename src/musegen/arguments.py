"""Command-line parsing shared by all commands: a function's signature is its interface, a mistake is one line."""

from __future__ import annotations

import inspect
import os
import re
import sys
import typing
from argparse import ArgumentError
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from musegen.mistakes import NO_SUCH, explain

_UNKNOWN = re.compile(
    r"Option '([^']+)' is not accepted$|(?:Subcommand|Group) '[^']+' does not accept option '([^']+)'$"
    r"|unrecognized arguments: --([^\s=]+)"
)


class OneLineErrors:
    """Parser mixin: an error is one line on standard error, exit status 2."""

    exit_on_error: bool

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print one line and leave; in a parser inside another one, pass it on."""
        parser: Any = getattr(ex, "subcommand_parser", None) or self
        message = _suggest(message, [action.dest for action in parser._actions])
        if not self.exit_on_error or os.environ.get("MUSEGEN_TRACEBACK"):
            raise ArgumentError(None, message) from ex
        line = message if ex is None or message.startswith(NO_SUCH) else explain(ex)
        print(f"{parser.prog.replace(' [options]', '')}: {' '.join(line.split())}", file=sys.stderr)
        raise SystemExit(2)


def _suggest(message: str, known: list[str]) -> str:
    """Where a message is about an unknown name, say so plainly, and name the one that was probably meant."""
    found = _UNKNOWN.match(message)
    if found is None:
        return message
    name = next(group for group in found.groups() if group)
    close = get_close_matches(name.replace("-", "_"), known, n=1)
    return f"{NO_SUCH}{name}{f' (did you mean {close[0]}?)' if close else ''}"


class OneLineParser(OneLineErrors, ArgumentParser):
    """jsonargparse's parser with one-line errors."""


def call(function: Callable[..., Any], arguments: list[str], prog: str) -> Any:
    """Parse arguments by a function's signature and call it.

    A parameter without a default is positional, or all such are given by their names; a ``list[str]`` without a default
    takes any number of words. In the names of options, hyphens are as good as underscores. A YAML file given by ``-c``
    may name any of them, where none is called ``config``.
    """
    parser = OneLineParser(prog=prog, description=(inspect.getdoc(function) or "").partition("\n\n")[0])
    hints = typing.get_type_hints(function)
    if "config" not in hints:
        parser.add_argument("-c", "--config", action="config", help="A YAML file of these arguments; later ones win.")
    wordy = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is parameter.empty and hints.get(name) == list[str]
    ]
    for name in wordy:
        parser.add_argument(name, nargs="*", type=str, help=_help(function, name))
    arguments = [re.sub(r"^--[a-z0-9-]+", lambda name: "--" + name[0][2:].replace("-", "_"), one) for one in arguments]
    required = {f"--{name}" for name, one in inspect.signature(function).parameters.items() if one.default is one.empty}
    by_name = any(one.partition("=")[0] in required for one in arguments)
    parser.add_function_arguments(
        function, as_positional=not by_name, skip=set(wordy), sub_configs=True, fail_untyped=True
    )
    arguments = _gather(arguments, {f"--{name}" for name, hint in hints.items() if _is_list(hint)})
    chosen = parser.instantiate_classes(parser.parse_args(arguments))
    return function(**{name: chosen[name] for name in inspect.signature(function).parameters})


def _is_list(hint: Any) -> bool:
    """Whether an option takes a list, or none."""
    kinds = {typing.get_origin(one) or one for one in typing.get_args(hint) or [hint]}
    return typing.get_origin(hint) is list or kinds == {list, type(None)}


def _gather(arguments: list[str], lists: set[str]) -> list[str]:
    """Make one list of the words after an option that takes several: ``--sizes 1 2`` is ``--sizes [1, 2]``."""
    gathered: list[str] = []
    while arguments:
        first, *arguments = arguments
        gathered.append(first)
        if first in lists:
            count = next(
                (place for place, word in enumerate(arguments) if word.startswith("--") or word == "-c"), len(arguments)
            )
            words, arguments = arguments[:count], arguments[count:]
            plain = not (count == 1 and words[0].startswith("["))
            gathered += [f"[{', '.join(words)}]"] if plain and words else words
    return gathered


def _help(function: Callable[..., Any], name: str) -> str | None:
    from docstring_parser import parse

    described = {
        parameter.arg_name: parameter.description for parameter in parse(inspect.getdoc(function) or "").params
    }
    return described.get(name)
