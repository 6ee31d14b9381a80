"""Part real music in two halves without a groove, album or artist in common, for distances between real music."""

from __future__ import annotations

from pathlib import Path


def halve(audio: Path, out: Path) -> None:
    """Write OUT/a and OUT/b: one is what music should be like, the other how far other real music is from that.

    Args:
        audio: folder of shards with audio, as musegen render and musegen pack write them.
        out: folder of the halves.
    """
    from musegen.data.halves import halve as halve_shards

    for name, count in halve_shards(audio, out).items():
        print(f"{out / name}: {count} pieces")
