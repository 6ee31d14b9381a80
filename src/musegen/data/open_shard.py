"""A tar that is being written: under a temporary name until it is whole and on the disk."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from musegen.data.sample import Sample
from musegen.data.shard_index import Shard
from musegen.data.shard_table import TableBuilder, table_path, write_table
from musegen.files import sync_folder, temporary_name

UNKNOWN = "unknown"
"""The licence of a sample that names none; it counts as the strictest."""


class OpenShard:
    """A tar in progress, under a temporary name.

    Args:
        path: of the tar when it is whole.

    Raises:
        OSError: naming the file, if it cannot be written; nothing of it is left then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.temporary = temporary_name(path)
        self.samples = 0
        self.licences: set[str] = set()
        self.fields: set[str] = set()
        self.table = TableBuilder()
        with named(path):
            self.file = HashedFile(open(self.temporary, "wb"))  # noqa: SIM115 - close() or drop() closes it
        self.tar = tarfile.TarFile(fileobj=cast(BinaryIO, self.file), mode="w", format=tarfile.USTAR_FORMAT)

    def write(self, sample: Sample, members: dict[str, bytes]) -> None:
        """Add a sample and its members, as `to_members` encodes them."""
        places = []
        try:
            with named(self.path):
                for suffix, content in sorted(members.items()):
                    header = tarfile.TarInfo(f"{sample.key}.{suffix}")  # time, owner and group are 0 by default
                    header.size = len(content)
                    places.append((suffix, self.tar.offset + tarfile.BLOCKSIZE, content))
                    self.tar.addfile(header, io.BytesIO(content))
        except OSError:
            self.drop()
            raise
        self.table.add(sample.key, places)
        self.fields = self.fields & sample.fields if self.samples else set(sample.fields)
        self.licences.add(str(sample.facts.get("licence") or UNKNOWN))
        self.samples += 1

    def close(self, made_from: str = "") -> Shard:
        """Give the tar its name, with its table beside it; return what an index says of it."""
        try:
            with named(self.path):
                self.tar.close()
                self.file.file.flush()
                os.fsync(self.file.file.fileno())
                self.file.file.close()
                write_table(self.path, self.table.build())
                os.replace(self.temporary, self.path)
                sync_folder(self.path.parent)
        except OSError:
            self.drop()
            table_path(self.path).unlink(missing_ok=True)
            raise
        return Shard(self.path.name, self.samples, self.file.bytes, self.file.hash.hexdigest(), made_from)

    def drop(self) -> None:
        """Give it up."""
        with suppress(OSError):
            self.file.file.close()
        with suppress(OSError):
            self.temporary.unlink()


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Say which file an error of writing is about."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error


class HashedFile:
    """A file that knows the checksum and the number of the bytes written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.hash = hashlib.sha256()
        self.bytes = 0

    def tell(self) -> int:
        """How many bytes there are."""
        return self.bytes

    def write(self, content: bytes) -> int:
        """Add bytes."""
        self.hash.update(content)
        self.bytes += len(content)
        return self.file.write(content)
