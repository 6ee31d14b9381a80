"""Any sample of a folder of shards, without reading those before it.

So an epoch can be one permutation of all samples, and any number of processes can take equal parts of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path

from musegen.data.remote import RemoteShards, is_url, local
from musegen.data.sample import Sample
from musegen.data.shard_file import ShardFile
from musegen.data.shard_index import read_index
from musegen.data.shard_reader import check_present
from musegen.data.stored_sample import StoredSample


class ShardFolder:
    """The samples of a folder, by position.

    Args:
        folder: with its index; or a URL or command of one that lies elsewhere, see `RemoteShards`.
        fields: what is read of a sample (``caption``, ``embedding``, ``latents``, ``audio``, ``text``) beside its
            facts.
        check: look at once whether every shard is there at its size; else whoever reads it finds out.
        cache: where fetched shards are kept.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it has no index or its samples lack a field; `DamagedShardError` if a shard is missing or short.
    """

    def __init__(
        self, folder: str | Path, fields: Iterable[str] = (), check: bool = True, cache: str | Path | None = None
    ) -> None:
        remote = RemoteShards(str(folder), cache) if is_url(folder) else None
        self.folder = local(folder) if remote is None else remote.folder
        self.index = read_index(self.folder)
        wanted = set(fields)
        lacking = sorted(wanted - set(self.index.fields))
        if lacking and self.index.samples:
            held = ", ".join(self.index.fields) or "nothing that can be read"
            raise ValueError(f"{folder}: expected shards with {', '.join(lacking)}, got shards with {held}")
        self.fields = frozenset(wanted - {"caption"})
        self.shards = [ShardFile(self.folder / shard.name, shard, remote) for shard in self.index.shards]
        self._ends = list(accumulate(shard.samples for shard in self.index.shards))
        if check and remote is None:
            for shard in self.shards:
                check_present(shard.path, shard.entry)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, position: int) -> Sample:
        """Read a sample; what is read is compared with its checksum.

        Raises:
            DamagedShardError: naming the shard, if it is damaged or missing.
        """
        with self.open(position) as sample:
            return sample.load(self.fields)

    def open(self, position: int) -> StoredSample:
        """A sample that reads what it is asked for, when it is asked; to be used in a ``with``.

        Raises:
            DamagedShardError: naming the shard, if its table is damaged or missing.
        """
        number = bisect_right(self._ends, position)
        return StoredSample(self.shards[number], position - (self._ends[number - 1] if number else 0))
