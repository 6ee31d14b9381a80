"""The folder that a cache is written into: what of it is there, and when it is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musegen.data.open_shard import UNKNOWN
from musegen.data.sample import FIELDS
from musegen.data.shard_file import ShardFile
from musegen.data.shard_index import (
    UNFINISHED,
    Shard,
    ShardIndex,
    differences,
    digest,
    index_path,
    merged,
    read_index_file,
    write_index,
)
from musegen.data.shard_table import table_path
from musegen.data.stored_sample import StoredSample
from musegen.files import FolderLock, prepare_folder, sync_folder

RECORDS = UNFINISHED
"""Folder within the result that holds a record of each shard that is done, until all are."""


@dataclass(frozen=True)
class Work:
    """One shard of the result.

    Args:
        name: of the shard.
        first: its first sample, by position in the source.
        stop: the sample after its last.
        made_from: names the samples' bytes and all that is computed of them.
    """

    name: str
    first: int
    stop: int
    made_from: str


class CacheFolder:
    """Shards, records of them, and in the end an index.

    While anything is missing there is no index, so that nobody takes a part for the whole.

    Args:
        path: of the folder.
        made_by: what makes its shards.
        work: all shards that it will have.
    """

    def __init__(self, path: Path, made_by: Mapping[str, Any], work: Sequence[Work]) -> None:
        self.path, self.made_by, self.work = path, made_by, work
        self._origins = {one.name: one.made_from for one in work}
        self._records = path / RECORDS
        self._index = index_path(path)
        self._lock: FolderLock | None = None
        self._made = False

    def begin(self) -> list[int]:
        """Enter the folder, tidy it up, and find which shards are missing."""
        self._made = not self.path.exists()
        prepare_folder(self.path)
        self._lock = FolderLock(self.path)
        self._check()
        for left in (*self.path.glob(".*.part"), *self._records.glob(".*.part")):
            left.unlink()
        index = read_index_file(self._index) if self._index.exists() else None
        if index is not None and len(index.shards) == len(self.work) and all(map(self._is_there, index.shards)):
            self._drop_records()
            return []
        self._records.mkdir(exist_ok=True)
        for shard in index.shards if index is not None else ():
            if self._is_there(shard) and not self._record_path(shard.name).exists():
                write_index(self._record_path(shard.name), self._described(shard))
        if index is not None:
            self._index.unlink()
            sync_folder(self.path)
        done = self._recorded()
        return [number for number, work in enumerate(self.work) if work.name not in done]

    def record(self, work: Work, shard: ShardIndex) -> None:
        """Note that a shard is done."""
        write_index(self._record_path(work.name), shard)

    def finish(self) -> None:
        """Write the index.

        Raises:
            ValueError: naming shards that are missing.
        """
        if self._index.exists():
            return
        done = self._recorded()
        missing = [work.name for work in self.work if work.name not in done]
        if missing:
            raise ValueError(f"{self.path}: expected {len(self.work)} shards, {', '.join(missing[:5])} are missing")
        write_index(self._index, merged([done[work.name] for work in self.work]))
        self._drop_records()

    def close(self) -> None:
        """Let others write here, and leave no folder in which there is nothing."""
        if self._lock is None:
            return
        try:
            for folder in (self._records, *([self.path] if self._made else [])):
                with suppress(OSError):  # it is not empty
                    folder.rmdir()
        finally:
            self._lock.close()
            self._lock = None

    def _record_path(self, name: str) -> Path:
        return self._records / f"{Path(name).stem}.json"

    def _drop_records(self) -> None:
        if self._records.exists():
            for path in self._records.iterdir():
                path.unlink()
            self._records.rmdir()
            sync_folder(self.path)

    def _recorded(self) -> dict[str, ShardIndex]:
        """Records of those shards that are there."""
        # listing a folder that lies on a network brings in what other hosts wrote
        paths = sorted(self._records.glob("*.json"))
        tars = {path.stem for path in self.path.glob("*.tar")}
        found = [read_index_file(path) for path in paths if path.stem in tars]
        return {one.shards[0].name: one for one in found if self._is_there(one.shards[0])}

    def _is_there(self, shard: Shard) -> bool:
        """Whether a shard is what this run would make, and there at its size."""
        path = self.path / shard.name
        try:
            whole = path.stat().st_size == shard.bytes and table_path(path).exists()
        except FileNotFoundError:
            return False
        return whole and shard.made_from == self._origins.get(shard.name)

    def _described(self, shard: Shard) -> ShardIndex:
        """The record of a shard that only the index of all tells of."""
        file = ShardFile(self.path / shard.name, shard)
        there = {name for name, suffix in FIELDS.items() if suffix in file.table.members}
        fields: set[str] = there | {"text", "caption"}
        licences = set()
        for number in range(shard.samples):
            with StoredSample(file, number) as stored:
                sample = stored.load([name for name in there if FIELDS[name] in file.table.places(number)])
                fields &= sample.fields | ({"text"} if stored.texts else set())
                licences.add(str(sample.facts.get("licence") or UNKNOWN))
        return ShardIndex(self.made_by, (shard,), tuple(sorted(licences)), tuple(sorted(fields)))

    def _check(self) -> None:
        """Refuse a folder that holds anything but this result or a part of it."""
        for path in sorted(self.path.glob("*.tar")):
            if path.name not in self._origins:
                raise ValueError(f"{self.path}: expected at most {len(self.work)} shards, got {path.name} too")
        for path in sorted(self.path.glob("index-*.json")):
            raise ValueError(f"{self.path}: expected no index but index.json, got {path.name}")
        for path in (self._index, *sorted(self._records.glob("*.json"))):
            if path.exists():
                there = read_index_file(path).made_by
                if digest(there) != digest(self.made_by):
                    different = differences(self.made_by, there) or ["they name more than this run"]
                    raise ValueError(
                        f"{self.path}: cannot go on, its shards were made otherwise: {'; '.join(different)}"
                    )
