"""Render music with true captions from accompaniment styles, as shards of audio."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.data.sources.base import Source
from musegen.data.sources.rendered import Rendered


def render(
    out: Path,
    songs: int = 300,
    seed: int = 0,
    seconds: float = 30.0,
    processes: int = 1,
    soundfont: str | None = None,
    mma: str | None = None,
    held_out_styles: str | None = None,
) -> None:
    """Render songs into a folder of shards.

    Args:
        out: folder to write, new or empty.
        songs: how many.
        seed: of all songs; another seed gives other songs.
        seconds: length of each.
        processes: that render side by side.
        soundfont: an .sf2 or .sf3 file; by default where Debian's packages put one.
        mma: folder of MMA; by default where Debian's package puts it.
        held_out_styles: "train" for all styles but every tenth, "held_out" for every tenth, null for all.
    """
    if processes < 1:
        raise ValueError(f"processes: expected 1 or more, got {processes}")
    source = Rendered(songs, seed, seconds, soundfont, mma, held_out_styles)
    with ShardWriter(out, {"source": source.config}, samples_per_shard=50) as writer:
        written = sum(1 for sample in _progress(_samples(source, processes), songs) if _write(writer, sample))
        if not written:
            raise ValueError(f"expected MMA in {source.mma} to play some of {songs} songs, got none: does it run?")
    print(f"{written} songs in {out}, {songs - written} left out")


def _write(writer: ShardWriter, sample: Sample | None) -> bool:
    if sample is None:
        return False
    writer.write(sample)
    return True


def _samples(source: Source, processes: int) -> Iterator[Sample | None]:
    if processes == 1:
        yield from map(source.read, range(len(source)))
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(source.read, range(len(source)), chunksize=4)


def _progress(samples: Iterator[Sample | None], total: int) -> Iterator[Sample | None]:
    from rich.console import Console
    from rich.progress import track

    yield from track(samples, "rendering", total, console=Console(stderr=True))
