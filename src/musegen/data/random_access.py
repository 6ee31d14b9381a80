"""Any sample of a folder of shards, without reading those before it.

A tar's headers say where each member lies; they are read once, when a folder is opened. So an epoch can be one
permutation of all samples, and any number of processes can take equal parts of it.
"""

from __future__ import annotations

import os
import tarfile
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import Any

from musegen.data.sample import Sample, from_members
from musegen.data.shard_index import read_index
from musegen.data.shard_reader import DamagedShardError, check_present, check_whole

Members = dict[str, tuple[int, int]]
"""Begin and size of each member of a sample, by suffix."""


class ShardFolder:
    """The samples of a folder, by position.

    Args:
        folder: with its index.
        fields: which arrays are decoded (``embedding``, ``latents``, ``audio``).

    Raises:
        ValueError: if there is no index, or a shard is missing or cut off.
    """

    def __init__(self, folder: str | Path, fields: Iterable[str]) -> None:
        self.folder = Path(folder)
        self.index = read_index(folder)
        self.fields = frozenset(fields)
        self._ends = list(accumulate(shard.samples for shard in self.index.shards))
        self._places: list[list[tuple[str, Members]]] = []
        for shard in self.index.shards:
            path = self.folder / shard.name
            check_present(path, shard)
            self._places.append(_places(path))
        self._files: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position: int) -> Sample:
        """Read a sample; the first one of a shard in a process compares the shard with its checksum.

        Raises:
            ValueError: naming the shard, if it is damaged.
        """
        number = bisect_right(self._ends, position)
        place = position - (self._ends[number - 1] if number else 0)
        path = self.folder / self.index.shards[number].name
        try:
            key, members = self._places[number][place]
        except IndexError:
            raise DamagedShardError(
                f"{path}: expected {self.index.shards[number].samples} samples, got fewer"
            ) from None
        file = self._open(number, path)
        content = {suffix: os.pread(file, size, begin) for suffix, (begin, size) in members.items()}
        try:
            return from_members(key, content, self.fields)
        except ValueError as error:
            raise DamagedShardError(f"{path}: {error}") from None

    def _open(self, number: int, path: Path) -> int:
        """A file of this process: a forked worker does not share its parent's."""
        place = (os.getpid(), number)
        if place not in self._files:
            check_whole(path, self.index.shards[number])
            self._files[place] = os.open(path, os.O_RDONLY)
        return self._files[place]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_files": {}}


def _places(path: Path) -> list[tuple[str, Members]]:
    places: list[tuple[str, Members]] = []
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                key, _, suffix = member.name.partition(".")
                if not places or places[-1][0] != key:
                    places.append((key, {}))
                places[-1][1][suffix] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise DamagedShardError(f"{path}: cannot be read: {error}") from None
    return places
