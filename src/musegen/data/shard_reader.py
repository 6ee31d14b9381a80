"""Read whole shards in order, after a look at their checksum, by WebDataset's own reader; never unpacking to disk."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from webdataset.tariterators import group_by_keys, tar_file_expander

from musegen.data.shard_index import Shard

_CHECKED: set[tuple[str, int, int]] = set()
"""Path, size and modification time of the tars that this process has found whole."""


class DamagedShardError(ValueError):
    """A shard that is missing, cut off, or not what its index says."""


@dataclass(frozen=True)
class RawSample:
    """The members of one sample as they lie in a tar: bytes by suffix."""

    key: str
    members: dict[str, bytes]


def check_present(path: Path, shard: Shard) -> None:
    """Look for a shard and its size, without reading it.

    Raises:
        DamagedShardError: if it is missing or of another size.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise DamagedShardError(f"{path}: expected a shard of {shard.samples} samples: {error.strerror}") from None
    if size != shard.bytes:
        raise DamagedShardError(f"{path}: expected {shard.bytes} bytes as its index says, got {size}")


def check_whole(path: Path, shard: Shard) -> None:
    """Compare a shard with its checksum; once in a process, unless the file changes.

    Raises:
        DamagedShardError: if it is missing, cut off or overwritten.
    """
    check_present(path, shard)
    status = path.stat()
    known = (str(path), status.st_size, status.st_mtime_ns)
    if known in _CHECKED:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != shard.sha256:
        raise DamagedShardError(f"{path}: expected SHA-256 {shard.sha256[:12]}… as its index says, got {found[:12]}…")
    _CHECKED.add(known)


def read_samples(
    path: Path, shard: Shard, start: int = 0, stop: int | None = None, verify: bool = True
) -> Iterator[RawSample]:
    """Stream samples ``start`` to ``stop`` of a shard.

    Args:
        path: of the tar.
        shard: what its index says.
        start: first sample.
        stop: after the last one; None for all.
        verify: compare the checksum first.

    Raises:
        DamagedShardError: naming the shard, if it is not as its index says.
    """
    (check_whole if verify else check_present)(path, shard)
    stop = shard.samples if stop is None else stop
    count = start
    try:
        with open(path, "rb") as stream:
            files = tar_file_expander(iter([{"url": str(path), "stream": stream}]))
            for grouped in islice(group_by_keys(files), start, stop):
                count += 1
                members = {suffix: content for suffix, content in grouped.items() if not suffix.startswith("__")}
                yield RawSample(grouped["__key__"], members)
    except (tarfile.TarError, OSError) as error:
        raise DamagedShardError(f"{path}: cannot be read after {count} samples: {error}") from None
    if count < stop:
        raise DamagedShardError(f"{path}: expected {shard.samples} samples, got {count}")
