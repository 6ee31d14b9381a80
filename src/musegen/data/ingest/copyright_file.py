"""Debian's copyright files: whose a file is, and under what.

Most are of the machine-readable format (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/), which
names licences by file. Others are free text; then everything that the text grants counts together, for all files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from musegen.data.ingest.licence_texts import holders_of, licences_of


@dataclass(frozen=True)
class Statement:
    """What a copyright file says of some files.

    Args:
        patterns: of their paths in the source package; ``*`` is any text, ``/`` too.
        holders: of the copyright, a line each.
        licence: an expression of Debian's names, such as ``GPL-2+ or CC-BY-SA-3.0``; empty where none is found.
    """

    patterns: tuple[str, ...]
    holders: tuple[str, ...]
    licence: str


class CopyrightFile:
    """What a copyright file says.

    Args:
        text: of the file.
    """

    def __init__(self, text: str) -> None:
        stanzas = _stanzas(text)
        self.by_file = bool(stanzas) and bool(re.search("copyright-format|dep-?5", stanzas[0].get("format", "")))
        if self.by_file:
            self.statements = [_statement(stanza) for stanza in stanzas if stanza.get("files", "").strip()]
        else:
            self.statements = [Statement(("*",), tuple(holders_of(text)), " and ".join(licences_of(text)))]

    def of(self, path: str) -> Statement | None:
        """What is said of an installed file; None if nothing, or different things.

        The file names paths in the source package, which lie below some folder when they are installed. The last
        statement that fits counts, as the format demands. Where only ``*`` fits, one that names the same file in the
        same folder counts, if all such agree.

        Args:
            path: of the installed file.
        """
        fitting = [one for one in self._patterns if one.fits(path)]
        if fitting and fitting[-1].pattern != "*":
            return fitting[-1].statement
        named = [one.statement for one in self._patterns if one.names(path)]
        if named:
            return named[-1] if len({one.licence for one in named}) == 1 else None
        return fitting[-1].statement if fitting else None

    @cached_property
    def _patterns(self) -> list[_Pattern]:
        return [
            _Pattern(pattern, one) for one in self.statements for pattern in one.patterns if not _packaging(pattern)
        ]


class _Pattern:
    """One pattern of a statement."""

    def __init__(self, pattern: str, statement: Statement) -> None:
        self.pattern, self.statement = pattern.removeprefix("./"), statement
        signs = {"*": ".*", "?": "."}
        matched = "".join(signs.get(sign, re.escape(sign)) for sign in self.pattern.replace("\\", ""))
        self.expression = re.compile(f"(?:.*/)?{matched}", re.DOTALL)

    def fits(self, path: str) -> bool:
        """Whether it is the end of a path, from some folder on."""
        return bool(self.expression.fullmatch(path))

    def names(self, path: str) -> bool:
        """Whether it ends in the same folder and file, without wildcards."""
        own, other = PurePosixPath(self.pattern).parts[-2:], PurePosixPath(path).parts[-2:]
        return len(own) == 2 and own == other


def _packaging(pattern: str) -> bool:
    return pattern.removeprefix("./").startswith("debian/")


def _stanzas(text: str) -> list[dict[str, str]]:
    """Paragraphs of fields; continued lines stay lines."""
    found: list[dict[str, str]] = []
    current: dict[str, str] = {}
    name = ""
    for line in [*text.replace("\r\n", "\n").split("\n"), ""]:
        if not line.strip():
            if current:
                found.append(current)
            current, name = {}, ""
        elif line[0] in " \t" and name:
            current[name] += "\n" + line.strip()
        elif field := re.match(r"([A-Za-z][A-Za-z-]*):\s*(.*)", line):
            name = field[1].casefold().replace("format-specification", "format")
            current[name] = field[2].strip()
    return found


def _statement(stanza: dict[str, str]) -> Statement:
    holders = [line for line in stanza.get("copyright", "").split("\n") if line]
    licence, _, text = stanza.get("license", "").partition("\n")
    return Statement(
        tuple(stanza["files"].replace(",", " ").split()),
        tuple(dict.fromkeys(holders)),
        licence.strip() or " and ".join(licences_of(text)),
    )
