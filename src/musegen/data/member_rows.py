"""Arrays of one width that are read from members of a tar straight to where they are needed."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
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

    def read(self, descriptor: int, place: Sequence[int], target: np.ndarray, trusted: bool = False) -> None:
        """Read a member's rows.

        Args:
            descriptor: of the tar.
            place: the member's first byte, its size and its CRC-32.
            target: ``[rows, dim]``, in one piece, to be filled.
            trusted: the member was compared with its CRC-32 before.

        Raises:
            ValueError: if the member is damaged, or unlike the others.
        """
        begin, size, crc = place
        header, checksum = header_of(self.kind, target.shape)
        content = target.reshape(-1).view(np.uint8).data
        got = os.preadv(descriptor, [content], begin + header)
        if got != size - header or not (trusted or zlib.crc32(content, checksum) == crc):
            raise ValueError("damaged, or unlike the others")
