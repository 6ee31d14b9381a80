"""A user's mistake in one line: where it is, what was expected there, and what was given."""

from __future__ import annotations

import errno
import re
import sys
from argparse import ArgumentError
from collections.abc import Iterator

NO_SUCH = "no such option: "
"""How a message about a misspelt name begins."""

_KEY = re.compile(r'Parser key "(?P<key>[^"]+)"(?: element (?P<element>\d+))?:\s*')
_CLASS = re.compile(r"Problem with given class_path '(?P<path>[^']+)':|Type .* expects a function or a callable class:")
_UNION = re.compile(r"(\s*- Expected a path but [^\n]*\n- )?Does not validate against any of the Union subtypes")
_SUBTYPES = re.compile(r"Subtypes: \[(?P<types>.*?)\]\n\s*Errors:.*\n\s*Given value: (?P<value>.*)\Z", re.DOTALL)
_EXPECTED = re.compile(r"Expected an? (?P<types>.+?)\. Got value: (?P<value>.*)\Z", re.DOTALL)
_INSTANCE = re.compile(r"Not a valid subclass of (?P<types>\w+)\. Got value: (?P<value>.*?)\n", re.DOTALL)
_SUBCLASS = re.compile(r"Import path (?P<value>\S+) does not correspond to a subclass of (?P<types>\w+)")


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def is_mistake(error: BaseException) -> bool:
    """Whether an error is about what the user gave or what the machine has, rather than one of musegen itself.

    A parser that builds objects wraps whatever their constructors raise; what they raised is what counts then.
    """
    *_, error = _layers(error)
    return isinstance(error, (ValueError, OSError, ImportError, ArgumentError, *_foreign()))


def explain(error: BaseException) -> str:
    """An error's message in one line, without a system's error number and without a parser's inner life.

    jsonargparse repeats, at each level of nesting, all types that a key may have and everything that was given. Here
    the innermost cause tells the mistake, and the way to it tells the key.
    """
    key, given, message, layer = "", "", "", error
    inside = False  # the arguments of a class
    for layer in _layers(error):
        text = message = _text(layer)
        if isinstance(layer, ArgumentError) and not text.startswith(NO_SUCH):
            continue  # its cause says the same
        if found := _KEY.match(text):
            element = f"[{int(found['element']) - 1}]" if found["element"] else ""
            key += (".init_args." if inside else ".") * bool(key) + found["key"] + element
            text = message = text[found.end() :]
            inside, given = False, ""
        if found := _CLASS.match(text):
            inside, given = True, found["path"] or ""
        if _UNION.match(text) and layer.__cause__ is not None and _is_bare(str(layer.__cause__)):
            break
        if text.startswith(NO_SUCH):
            inside, given = False, ""
            break
    if given and isinstance(layer, (ImportError, AttributeError)):
        message = f"expected a class's path, got {given}: {message}"
    line = " ".join(_plain(message).split()) or type(error).__name__
    return f"{key}: {line}" if key else line


def _layers(error: BaseException) -> Iterator[BaseException]:
    """An error and, as long as it is a parser's wrapping, what it wraps."""
    while True:
        yield error
        text = str(error)
        wrapped = isinstance(error, ArgumentError) or any(one.match(text) for one in (_KEY, _CLASS, _UNION))
        if not wrapped or error.__cause__ is None:
            return
        error = error.__cause__


def _foreign() -> list[type[BaseException]]:
    """Errors of other packages that are mistakes too, of those packages that are in use at all."""
    known = (("lightning.fabric.utilities.exceptions", "MisconfigurationException"), ("torch", "OutOfMemoryError"))
    return [getattr(sys.modules[module], name) for module, name in known if hasattr(sys.modules.get(module), name)]


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        if error.filename is not None:
            return f"{error.strerror}: {error.filename!r}"
        return f"cannot write: {error.strerror}" if error.errno in _FULL else error.strerror
    return str(error)


def _is_bare(text: str) -> bool:
    """Whether a message says no more than what one type of several is."""
    return bool(_EXPECTED.match(text) or _INSTANCE.match(text))


def _plain(message: str) -> str:
    """What was expected and what was given, without Python's names for it."""
    for pattern in (_EXPECTED, _INSTANCE, _SUBCLASS, _SUBTYPES):
        found = pattern.search(message) if pattern is _SUBTYPES else pattern.match(message)
        if found:
            return f"expected {_types(found['types'])}, got {_value(found['value'])}"
    return message


def _types(text: str) -> str:
    """``<class 'int'>, typing.Literal['auto'], <class 'NoneType'>`` as ``int, 'auto' or null``."""
    text = re.sub(r"<class '([^']+)'>", r"\1", text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(?=\w)", "", text).replace("NoneType", "null")
    names = list(dict.fromkeys(re.sub(r"Literal\[(.*?)\]", r"\1", text).split(", ")))
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _value(text: str, most: int = 80) -> str:
    nested = re.fullmatch(r"NestedArg\(key='[^']*', val=(.*)\)", text, re.DOTALL)
    text = " ".join((nested[1] if nested else text).split())
    return text if len(text) <= most else f"{text[: most - 1]}…"
