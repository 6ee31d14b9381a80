"""The table beside a shard: where each member of each sample lies, and its checksum.

With it any sample is read without those before it, and without the members that are not wanted; damage is found in what
is read, when it is read. Other software reads the tar as plain WebDataset and needs no table.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from musegen.files import write_whole

BEGIN, SIZE, CRC = range(3)
"""Columns: first byte of a member's content, its length (-1 where a sample has no such member), its CRC-32."""


@dataclass(frozen=True)
class ShardTable:
    """Places of a shard's members.

    Args:
        keys: of its samples, in order.
        members: by suffix, ``[samples, 3]`` int64 with the columns `BEGIN`, `SIZE` and `CRC`.
    """

    keys: tuple[str, ...]
    members: Mapping[str, np.ndarray]

    def places(self, sample: int) -> dict[str, tuple[int, int, int]]:
        """Begin, size and CRC-32 of the members of one sample, by suffix."""
        rows = {suffix: columns[sample].tolist() for suffix, columns in self.members.items()}
        return {suffix: (begin, size, crc) for suffix, (begin, size, crc) in rows.items() if size >= 0}


class TableBuilder:
    """Collects places while a shard is written."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows: dict[str, dict[int, tuple[int, int, int]]] = {}

    def add(self, key: str, members: Iterable[tuple[str, int, bytes]]) -> None:
        """Add a sample: suffix, first byte and content of each member."""
        for suffix, begin, content in members:
            self._rows.setdefault(suffix, {})[len(self._keys)] = (begin, len(content), zlib.crc32(content))
        self._keys.append(key)

    def build(self) -> ShardTable:
        """The table of what was added."""
        members = {suffix: np.full((len(self._keys), 3), -1, np.int64) for suffix in sorted(self._rows)}
        for suffix, rows in self._rows.items():
            for sample, row in rows.items():
                members[suffix][sample] = row
        return ShardTable(tuple(self._keys), members)


def table_path(shard: Path) -> Path:
    """Where the table of a shard lies."""
    return shard.with_name(f"{shard.stem}.members.json")


def write_table(shard: Path, table: ShardTable) -> None:
    """Write the table of a shard, whole or not at all."""
    members = {suffix: columns.T.tolist() for suffix, columns in table.members.items()}
    content = json.dumps({"keys": table.keys, "members": members}, separators=(",", ":"), sort_keys=True)
    write_whole({table_path(shard): content.encode()})


def read_table(shard: Path, samples: int) -> ShardTable:
    """Read the table of a shard.

    Raises:
        ValueError: if it is missing or damaged, or of another number of samples.
    """
    path = table_path(shard)
    try:
        content = json.loads(path.read_bytes())
        keys = tuple(map(str, content["keys"]))
        members = {
            str(suffix): np.array(columns, dtype=np.int64).reshape(3, samples).T.copy()
            for suffix, columns in content["members"].items()
        }
    except OSError as error:
        raise ValueError(f"{path}: expected the table of {shard.name}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise ValueError(
            f"{path}: expected the table of {shard.name} with {samples} samples, got a damaged one"
        ) from None
    if len(keys) != samples:
        raise ValueError(f"{path}: expected {samples} samples as the index says, got {len(keys)}")
    return ShardTable(keys, members)
