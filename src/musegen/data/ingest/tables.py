"""Tables of a corpus, line by line: a damaged line is named and left out, and the others stay."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from musegen.data.ingest.problems import Skip

LONGEST = 1 << 24  # bytes of a line; what is longer is no line of a table


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """The lines that are not empty, each with its name, such as ``train.json:12``.

    What is not UTF-8 is read as Windows-1252, which is what such a line almost always is; the few bytes that have no
    meaning there become question marks.
    """
    with open(path, "rb") as file:
        for count, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
            content = line.rstrip(b"\r\n")
            if count == 1:
                content = content.removeprefix(b"\xef\xbb\xbf")
            if not content.strip():
                continue
            try:
                text = content.decode("utf-8")
            except UnicodeDecodeError:
                text = content.decode("cp1252", "replace")
            yield f"{path.name}:{count}", text


def read_json_lines(path: Path, lost: list[Skip]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON Lines file, or of a file that is one JSON list.

    Args:
        path: of the file.
        lost: takes what cannot be read.

    Yields:
        Each object with its name, such as ``train.json:12``.
    """
    with open(path, "rb") as file:
        whole = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    if whole:
        try:
            rows = json.loads(path.read_bytes().decode("utf-8-sig", "replace"))
            named = [(f"{path.name}:[{count}]", row) for count, row in enumerate(rows)]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: expected JSON Lines or a JSON list: {error}") from None
        for name, row in named:
            if isinstance(row, dict):
                yield name, row
            else:
                lost.append(Skip(name, "line cannot be read", f"expected an object, got {type(row).__name__}"))
        return
    for name, line in read_lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            lost.append(Skip(name, "line cannot be read", " ".join(str(error).split())))
            continue
        if isinstance(row, dict):
            yield name, row
        else:
            lost.append(Skip(name, "line cannot be read", f"expected an object, got {type(row).__name__}"))


def read_table(path: Path, lost: list[Skip], delimiter: str | None = None) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a table with a header, by column.

    A row is a line: a quotation mark that nobody closed spoils its own row and no other.

    Args:
        path: of the file.
        lost: takes what cannot be read.
        delimiter: between columns; None for a tab where the header has one, else a comma.

    Yields:
        Each row with its name, such as ``tags.csv:12``.
    """
    header: list[str] | None = None
    for name, line in read_lines(path):
        if delimiter is None:
            delimiter = "\t" if "\t" in line else ","
        try:
            fields = next(csv.reader([line], delimiter=delimiter), [])
        except csv.Error:  # a field of more than 131,072 letters
            fields = line.split(delimiter)
        if header is None:
            header = [field.strip() for field in fields]
            continue
        if len(fields) != len(header):
            plain = line.split(delimiter)
            if len(plain) != len(header):
                lost.append(Skip(name, "line cannot be read", f"expected {len(header)} columns, got {len(fields)}"))
                continue
            fields = plain
        yield name, dict(zip(header, fields, strict=True))
