"""Any sample of a folder of shards, without reading those before it.

So an epoch can be one permutation of all samples, and any number of processes can take equal parts of it.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections.abc import Collection, Iterable
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from musegen.data.sample import FIELDS, Sample, from_members
from musegen.data.shard_index import Shard, read_index
from musegen.data.shard_reader import DamagedShardError, check_present
from musegen.data.shard_table import ShardTable, read_table


class ShardFolder:
    """The samples of a folder, by position.

    Args:
        folder: with its index.
        fields: what is read of a sample (``caption``, ``embedding``, ``latents``, ``audio``) beside its facts.
        check: look at once whether every shard is there at its size; else whoever reads it finds out.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it has no index or its samples lack a field; `DamagedShardError` if a shard is missing or short.
    """

    def __init__(self, folder: str | Path, fields: Iterable[str] = (), check: bool = True) -> None:
        self.folder = Path(folder)
        self.index = read_index(folder)
        wanted = set(fields)
        lacking = sorted(wanted - set(self.index.fields))
        if lacking and self.index.samples:
            held = ", ".join(self.index.fields) or "nothing that can be read"
            raise ValueError(f"{folder}: expected shards with {', '.join(lacking)}, got shards with {held}")
        self.fields = frozenset(wanted - {"caption"})
        self._shards = [_LazyShard(self.folder / shard.name, shard) for shard in self.index.shards]
        self._ends = list(accumulate(shard.samples for shard in self.index.shards))
        if check:
            for shard in self._shards:
                check_present(shard.path, shard.entry)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position: int) -> Sample:
        """Read a sample; what is read is compared with its checksum.

        Raises:
            DamagedShardError: naming the shard, if it is damaged or missing.
        """
        number = bisect_right(self._ends, position)
        return self._shards[number].read(position - (self._ends[number - 1] if number else 0), self.fields)


class _LazyShard:
    """A shard whose table is read when it is needed first. Files stay closed between reads: workers share none."""

    def __init__(self, path: Path, entry: Shard) -> None:
        self.path = path
        self.entry = entry
        self._table: ShardTable | None = None

    def read(self, sample: int, fields: Collection[str]) -> Sample:
        table = self._table or self._read_table()
        try:
            key, places = table.keys[sample], table.places(sample)
            suffixes = ["json", *(FIELDS[name] for name in fields)]
            with open(self.path, "rb", buffering=0) as file:
                members = {
                    suffix: _read(file, f"{key}.{suffix}", *places[suffix]) for suffix in suffixes if suffix in places
                }
            return from_members(key, members, set(fields))
        except OSError as error:
            raise DamagedShardError(f"{self.path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise DamagedShardError(f"{self.path}: {error}") from None

    def _read_table(self) -> ShardTable:
        try:
            self._table = read_table(self.path, self.entry.samples)
        except ValueError as error:
            raise DamagedShardError(str(error)) from None
        return self._table


def _read(file: BinaryIO, name: str, begin: int, size: int, crc: int) -> bytes:
    file.seek(begin)
    content = file.read(size)
    if len(content) < size:
        raise DamagedShardError(f"damaged: {name} is cut off")
    if zlib.crc32(content) != crc:
        raise DamagedShardError(f"damaged: {name} is not what was written (its CRC-32 differs)")
    return content
