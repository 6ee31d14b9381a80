"""Arrays of one width that are read from members of a tar straight to where they are needed."""

from __future__ import annotations

import os
import zlib
from functools import cached_property

import numpy as np

from musegen.data.arrays import header_of, load_npy
from musegen.data.shard_file import ShardFile


class MemberRows:
    """Members that are alike: arrays ``[any, dim]`` of one type.

    Args:
        kind: of their numbers.
        dim: their width.
    """

    def __init__(self, kind: np.dtype, dim: int) -> None:
        self.kind, self.dim = kind, dim

    @classmethod
    def like(cls, shard: ShardFile, suffix: str) -> MemberRows:
        """Those that are like the first of a shard.

        Raises:
            ValueError: if that is no array of rows, or damaged.
        """
        descriptor = shard.open()
        try:
            array = load_npy(shard.read(descriptor, suffix, *shard.table.places(0)[suffix]))
        except KeyError:
            raise ValueError(f"{shard.path}: expected {suffix} of its first sample, got none") from None
        finally:
            os.close(descriptor)
        if array.ndim != 2:
            raise ValueError(f"{shard.path}: expected {suffix} as rows, got shape {list(array.shape)}")
        return cls(array.dtype, array.shape[1])

    @cached_property
    def row(self) -> int:
        """Bytes of a row."""
        return self.kind.itemsize * self.dim

    @cached_property
    def header(self) -> int:
        """Bytes before the first row; the same for any number of rows that a caption or a piece has."""
        return header_of(self.kind, (1, self.dim))[0]

    def count(self, size: int) -> int:
        """How many rows a member of so many bytes has."""
        return (size - self.header) // self.row

    def read(self, descriptor: int, begin: int, size: int, crc: int, target: memoryview) -> None:
        """Read a member's rows.

        Args:
            descriptor: of the tar.
            begin: the member's first byte.
            size: of the member.
            crc: of the member.
            target: bytes to fill.

        Raises:
            ValueError: if the member is damaged, or unlike the others.
        """
        header, checksum = header_of(self.kind, (self.count(size), self.dim))
        got = os.preadv(descriptor, [target], begin + header)
        if got != size - header or zlib.crc32(target, checksum) != crc:
            raise ValueError("damaged, or unlike the others")
