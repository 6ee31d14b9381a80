"""Measure what a crop of audio costs: decoded each time, decoded and kept, and read from what is kept."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from musegen.arguments import call
from musegen.data.decoded import DecodedSongs
from musegen.data.items import ItemMaker
from musegen.data.random_access import ShardFolder


def time_decoded(folder: Path, samples: int = 441000, songs: int = 150) -> None:
    """Print milliseconds an item in one process, median and mean, and compare the items.

    Args:
        folder: of shards with audio.
        samples: of a crop.
        songs: how many to read, each once in each way.
    """
    shards = ShardFolder(folder, ["audio"])
    numbers = range(min(songs, len(shards)))

    def times(what: str, make: ItemMaker, epoch: int) -> None:
        took = []
        for number in numbers:
            begin = time.perf_counter()
            with shards.open(number) as sample:
                make(sample, epoch)
            took.append(1e3 * (time.perf_counter() - begin))
        print(f"{what}: median {statistics.median(took):.2f} ms, mean {statistics.mean(took):.2f} ms")

    with tempfile.TemporaryDirectory() as kept:
        plain = ItemMaker(["audio"], samples=samples, packed=True)
        keeping = ItemMaker(["audio"], samples=samples, packed=True, decoded=DecodedSongs(kept))
        times("to warm up", plain, 0)
        times("decoded each time", plain, 1)
        times("decoded and kept", keeping, 1)
        times("read again", keeping, 2)
        forget(Path(kept))
        times("read again, from the disk", keeping, 3)
        for number in numbers:
            with shards.open(number) as sample:
                assert torch.equal(plain(sample, 4)["audio"], keeping(sample, 4)["audio"])


def forget(folder: Path) -> None:
    """Take files out of the system's memory."""
    for path in folder.rglob("*.wav"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    call(time_decoded, sys.argv[1:], "time_decoded.py")
