"""A folder of audio shards, encoded once, by any number of processes, as if nothing had ever been interrupted.

The unit of work is a shard of the result. Which samples it has follows from the source's index and the configuration;
its bytes follow from those samples, so that it does not matter who makes it, when, or after how many attempts. A shard
that is done has a record; when all have one, the index is written, and the records go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import accumulate, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from musegen.data.cache_folder import CacheFolder, Work
from musegen.data.encoder import Encoder
from musegen.data.open_shard import OpenShard
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample, to_members
from musegen.data.shard_index import ShardIndex, digest

READERS = 4
"""Threads that read samples ahead."""


class Cache:
    """Encodes a folder of audio shards into another folder.

    One process calls `begin`, any processes `encode` the shards that it gives, and the first calls `finish`. A context
    manager, which lets go of the folder in the end. Embeddings, latents and text states that the source has already are
    kept, but for those that the encoder computes.

    Args:
        source: folder of shards, with audio where the encoder needs it.
        out: folder of the result.
        encoder: what is computed.
        samples_per_shard: of the result.

    Attributes:
        work: all shards of the result, in order.
        made_by: what the index says of how they were made.

    Raises:
        OSError: if there is no such source.
        ValueError: if the source is damaged, empty or lacks what the encoder needs, or ``out`` is the source.
    """

    def __init__(self, source: Path, out: Path, encoder: Encoder, samples_per_shard: int = 500) -> None:
        if samples_per_shard < 1:
            raise ValueError(f"samples_per_shard: expected at least 1, got {samples_per_shard}")
        if out.resolve() == source.resolve():
            raise ValueError(f"{out}: expected another folder for the result, got that of the audio")
        held = set(ShardFolder(source, check=False).index.fields)
        kept = (held & {"embedding", "latents", "text"}) - encoder.makes
        wanted = {*kept, *(["audio"] if encoder.hears else []), *(["caption"] if "text" in encoder.makes else [])}
        self.source = ShardFolder(source, wanted)
        if not len(self.source):
            raise ValueError(f"{source}: expected samples, got none")
        self.encoder = encoder
        before = self.source.index.made_by
        made_by = {**(before if kept else {"audio": before}), **encoder.made_by}
        self.made_by: dict[str, Any] = json.loads(json.dumps(made_by))
        self.work = self._planned(samples_per_shard)
        self.folder = CacheFolder(out, self.made_by, self.work)

    @property
    def samples(self) -> int:
        """How many samples the result has."""
        return len(self.source)

    def _planned(self, size: int) -> list[Work]:
        """Cut the source into shards; a shard's origin is the checksums of the tars that its samples come from."""
        shards = self.source.index.shards
        begins = [0, *accumulate(shard.samples for shard in shards)]
        made_by, planned = digest(self.made_by), []
        for number, first in enumerate(range(0, self.samples, size)):
            stop = min(first + size, self.samples)
            parts = [
                (shard.sha256, max(first - begin, 0), min(stop - begin, shard.samples))
                for shard, begin in zip(shards, begins, strict=False)
                if begin < stop and begin + shard.samples > first
            ]
            origin = hashlib.sha256(json.dumps([made_by, parts]).encode()).hexdigest()
            planned.append(Work(f"{number:05d}.tar", first, stop, origin))
        return planned

    def begin(self) -> list[int]:
        """Make or enter the folder of the result, and find what is missing in it.

        Returns:
            Numbers of the shards that are to be made.

        Raises:
            OSError: if nothing can be written there.
            ValueError: if the folder is in use, or holds anything that this would not make, or a key of the source
                comes twice.
        """
        seen: dict[str, str] = {}
        for shard in self.source.shards:
            for key in shard.table.keys:
                if key in seen:
                    raise ValueError(f"{shard.path}: expected unique keys, got {key!r}, which is in {seen[key]} too")
                seen[key] = shard.path.name
        return self.folder.begin()

    def encode(self, number: int) -> Iterator[Sample]:
        """Make one shard, and leave a record of it; yields its samples as they come.

        Raises:
            ValueError: if a sample cannot be encoded.
            OSError: if something cannot be written.
        """
        work = self.work[number]
        shard = OpenShard(self.folder.path / work.name)
        try:
            for sample in self.encoder(self._read(work)):
                shard.write(sample, to_members(sample))
                yield sample
            entry = shard.close(work.made_from)
        except BaseException:
            shard.drop()
            raise
        licences, fields = (tuple(sorted(names)) for names in (shard.licences, shard.fields))
        self.folder.record(work, ShardIndex(self.made_by, (entry,), licences, fields))

    def finish(self) -> None:
        """Write the index, when every shard is there.

        Raises:
            ValueError: naming shards that are missing.
        """
        self.folder.finish()

    def __enter__(self) -> Cache:
        """Encode within ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the folder."""
        self.folder.close()

    def _read(self, work: Work) -> Iterator[Sample]:
        """A shard's samples, a few of them read ahead."""
        with ThreadPoolExecutor(READERS) as pool:
            ahead: list[Future[Sample]] = []
            rest = iter(range(work.first, work.stop))
            for position in islice(rest, 2 * READERS):
                ahead.append(pool.submit(self.source.__getitem__, position))
            while ahead:
                yield ahead.pop(0).result()
                ahead += [pool.submit(self.source.__getitem__, position) for position in islice(rest, 1)]
