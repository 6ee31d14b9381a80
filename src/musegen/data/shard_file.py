"""One shard on disk, of which any member of any sample can be read."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from musegen.data.shard_index import Shard
from musegen.data.shard_reader import DamagedShardError
from musegen.data.shard_table import ShardTable, read_table


class ShardFile:
    """A shard whose table is read when it is needed first. Files stay closed between reads: workers share none.

    Args:
        path: of the tar.
        entry: what the index says of it.
    """

    def __init__(self, path: Path, entry: Shard) -> None:
        self.path = path
        self.entry = entry
        self._table: ShardTable | None = None

    @property
    def table(self) -> ShardTable:
        """Where its members lie.

        Raises:
            DamagedShardError: if that cannot be read.
        """
        if self._table is None:
            try:
                self._table = read_table(self.path, self.entry.samples)
            except ValueError as error:
                raise DamagedShardError(str(error)) from None
        return self._table

    def open(self) -> int:
        """A descriptor to read by; whoever asks for it closes it.

        Raises:
            DamagedShardError: if it cannot be opened.
        """
        try:
            return os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DamagedShardError(f"{self.path}: cannot be read: {error.strerror}") from None

    def read(self, descriptor: int, name: str, begin: int, size: int, crc: int) -> bytes:
        """The content of one member.

        Args:
            descriptor: of `open`.
            name: of the member, for the message.
            begin: its first byte.
            size: of its content.
            crc: that its content has.

        Raises:
            DamagedShardError: if it is not what was written.
        """
        try:
            content = os.pread(descriptor, size, begin)
        except OSError as error:
            raise DamagedShardError(f"{self.path}: cannot be read: {error.strerror}") from None
        if len(content) < size:
            raise DamagedShardError(f"{self.path}: damaged: {name} is cut off")
        if zlib.crc32(content) != crc:
            raise DamagedShardError(f"{self.path}: damaged: {name} is not what was written (its CRC-32 differs)")
        return content
