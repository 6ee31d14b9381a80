"""Render music with true captions from accompaniment styles, as shards of audio."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.data.sources.base import Source
from musegen.data.sources.rendered import Rendered


def render(
    out: Path,
    songs: int = 300,
    hours: float | None = None,
    seed: int = 0,
    seconds: float = 30.0,
    split: str = "train",
    processes: int = 1,
    soundfont: str | None = None,
    mma: str | None = None,
) -> None:
    """Render songs into a folder of shards.

    Args:
        out: folder to write, new or empty.
        songs: how many.
        hours: how much, in place of a number of songs.
        seed: of all songs; another seed gives other songs.
        seconds: length of each, at most.
        split: "train", "val" for held-out songs of the same styles, "unseen" for styles and progressions that are
            never in training.
        processes: that render side by side; any number gives the same shards.
        soundfont: an .sf2 or .sf3 file; by default where Debian's packages put one.
        mma: folder of MMA; by default where Debian's package puts it.
    """
    if processes < 1:
        raise ValueError(f"processes: expected 1 or more, got {processes}")
    if hours is not None:
        if not hours > 0:
            raise ValueError(f"hours: expected more than 0, got {hours}")
        songs = math.ceil(hours * 3600 / seconds)
    source = Rendered(songs, seed, seconds, split, soundfont, mma)
    began, written, length = perf_counter(), 0, 0.0
    with ShardWriter(out, {"source": source.made_by}, samples_per_shard=50) as writer:
        for sample in _progress(_samples(source, processes), songs):
            if sample is not None:
                writer.write(sample)
                written += 1
                length += float(sample.facts["seconds"])
        if not written:
            raise ValueError(f"expected MMA in {source.mma} to play some of {songs} songs, got none: does it run?")
    rate = length / (perf_counter() - began)
    print(f"{written} songs in {out}, {songs - written} left out: {length / 3600:.2f} h at {rate:.0f} times real time")


def _samples(source: Source, processes: int) -> Iterator[Sample | None]:
    if processes == 1:
        yield from map(source.read, range(len(source)))
        return
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        try:
            yield from pool.map(source.read, range(len(source)), chunksize=4)
        except BrokenProcessPool:
            raise ValueError(f"a process that renders was killed: is there memory for {processes} of them?") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _progress(samples: Iterator[Sample | None], total: int) -> Iterator[Sample | None]:
    from rich.console import Console
    from rich.progress import track

    yield from track(samples, "rendering", total, console=Console(stderr=True))
