"""Write shards: tars of samples, each there whole or not at all, with a table and an index beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from musegen.data.open_shard import OpenShard, named
from musegen.data.sample import Sample, to_members
from musegen.data.shard_index import (
    ShardIndex,
    differences,
    digest,
    index_path,
    read_index_file,
    write_index,
)
from musegen.data.shard_table import read_table
from musegen.files import FolderLock


class ShardWriter:
    """Write samples into a folder, a new tar after every ``samples_per_shard``; a context manager.

    The same samples give the same bytes. A tar takes its name when it is complete and on the disk, and the index is
    renewed then: a writer that is killed leaves a folder that reads, short of its last tar. Leaving the context by an
    exception drops the tar in progress.

    Several processes may write into one folder, each with its own ``part``; a lone writer keeps all others out.

    Args:
        folder: made if missing.
        made_by: what makes the samples, nested plain data, such as
            ``{"embedding": {"class_path": …, "revision": …}, "latents": {…}, "preprocessing": {…}}``.
        samples_per_shard: samples of a full tar; 100 to 1000 MB a tar reads well.
        part: name of this process's part, such as ``rank0001``; empty for a lone writer.
        append: go on in a folder that has such a part already, if the same things made it; `keys` then holds what it
            has. Without, such a folder is refused.

    Attributes:
        keys: of all samples written to this part, so that a caller can skip what is there.

    Raises:
        ValueError: for a folder that has shards, was made by something else, or is being written into.
    """

    def __init__(
        self,
        folder: str | Path,
        made_by: Mapping[str, Any],
        samples_per_shard: int = 1000,
        part: str = "",
        append: bool = False,
    ) -> None:
        if samples_per_shard < 1:
            raise ValueError(f"samples_per_shard: expected at least 1, got {samples_per_shard}")
        if part and not re.fullmatch(r"[A-Za-z0-9]+", part):
            raise ValueError(f"part: expected letters and digits, got {part!r}")
        self.folder = Path(folder)
        self.samples_per_shard = samples_per_shard
        self.part = part
        self.keys: set[str] = set()
        self._index = ShardIndex(json.loads(json.dumps(made_by)), (), (), ())
        self._open: OpenShard | None = None
        self._made_folder = not self.folder.exists()
        with named(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FolderLock(self.folder, shared=bool(part))
        try:
            if self.index_path.exists():
                self._continue(append)
        except BaseException:
            self._lock.close()
            raise
        if self._lock.held:
            for left in self.folder.glob(f".{part}-*.part" if part else ".*.part"):
                left.unlink(missing_ok=True)

    @property
    def index_path(self) -> Path:
        """Where this part's index lies."""
        return index_path(self.folder, self.part)

    def _continue(self, append: bool) -> None:
        if not append:
            raise ValueError(f"{self.folder}: expected a folder without {self.index_path.name}, got one with shards")
        there = read_index_file(self.index_path)
        if digest(there.made_by) != digest(self._index.made_by):
            different = differences(self._index.made_by, there.made_by) or ["it names more than this run"]
            raise ValueError(f"{self.folder}: cannot append, its shards were made otherwise: {'; '.join(different)}")
        self._index = there
        for shard in there.shards:
            self.keys.update(read_table(self.folder / shard.name, shard.samples).keys)

    def write(self, sample: Sample) -> None:
        """Add a sample.

        Raises:
            ValueError: for a sample that a reader could not use, or whose key is there already.
            OSError: naming the file, if it cannot be written.
        """
        members = to_members(sample)
        if sample.key in self.keys:
            raise ValueError(f"{self.folder}: expected unique keys, got {sample.key!r} again")
        if self._open is None:
            prefix = f"{self.part}-" if self.part else ""
            self._open = OpenShard(self.folder / f"{prefix}{len(self._index.shards):05d}.tar")
        self._open.write(sample, members)
        self.keys.add(sample.key)
        if self._open.samples == self.samples_per_shard:
            self.flush()

    def flush(self) -> None:
        """End the tar in progress, and renew the index."""
        done, self._open = self._open, None
        shards, licences, fields = self._index.shards, set(self._index.licences), set(self._index.fields)
        if done is not None:
            fields = fields & done.fields if shards else done.fields
            licences |= done.licences
            shards = (*shards, done.close())
        made_by = self._index.made_by
        self._index = ShardIndex(made_by, shards, tuple(sorted(licences)), tuple(sorted(fields)))
        write_index(self.index_path, self._index)

    def close(self) -> None:
        """End the last tar, and let others write here."""
        self.flush()
        self._lock.close()

    def __enter__(self) -> ShardWriter:
        """Write within ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the last tar, or drop it if something went wrong."""
        try:
            if kind is None:
                self.close()
        except BaseException:
            self.drop()
            raise
        if kind is not None:
            self.drop()

    def drop(self) -> None:
        """Give up the tar in progress, and the folder too if nothing else came into it; let others write here."""
        if self._open is not None:
            self._open.drop()
            self._open = None
        if self._made_folder:
            with suppress(OSError):  # it is not empty: what is in it is whole
                self.folder.rmdir()
        self._lock.close()
