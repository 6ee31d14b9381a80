"""One shard on disk, of which any member of any sample can be read."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from musegen.data.remote import RemoteShards
from musegen.data.shard_index import Shard
from musegen.data.shard_reader import DamagedShardError
from musegen.data.shard_table import ShardTable, read_table, table_path


class ShardFile:
    """A shard whose table is read when it is needed first. Files stay closed between reads: workers share none.

    Args:
        path: of the tar.
        entry: what the index says of it.
        remote: where it is fetched from before it is read; None if it is here.
    """

    def __init__(self, path: Path, entry: Shard, remote: RemoteShards | None = None) -> None:
        self.path = path
        self.entry = entry
        self.remote = remote
        self._table: ShardTable | None = None
        self._here = remote is None

    def fetch(self) -> None:
        """Make sure that it is here.

        Raises:
            DamagedShardError: if it cannot be fetched, or is not what the index says.
        """
        if self.remote is not None:
            self.remote.fetch(self.path.name, self.entry.sha256)
            self._here = True

    @property
    def table(self) -> ShardTable:
        """Where its members lie.

        Raises:
            DamagedShardError: if that cannot be read.
        """
        if self._table is None:
            if self.remote is not None:
                self.remote.fetch(table_path(self.path).name)
            try:
                self._table = read_table(self.path, self.entry.samples)
            except ValueError as error:
                if self.remote is not None:
                    table_path(self.path).unlink(missing_ok=True)  # another look may find a whole one
                raise DamagedShardError(str(error)) from None
        return self._table

    def open(self) -> int:
        """A descriptor to read by; whoever asks for it closes it.

        Raises:
            DamagedShardError: if it cannot be opened.
        """
        if not self._here:
            self.fetch()
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
