"""Real music in two halves that have no groove, no album and no artist in common, to be compared with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from musegen.data.random_access import ShardFolder
from musegen.data.shard_writer import ShardWriter
from musegen.files import whole_folder

NAMES = ("a", "b")
TOGETHER = ("groove", "grooves", "style", "album", "artist", "package")
"""Facts that pieces of one half may share, and pieces of both may not."""


def sides(facts: Sequence[Mapping[str, Any]]) -> list[int]:
    """Which half each piece belongs to, 0 or 1.

    Pieces that have a fact of `TOGETHER` in common, or are linked by others that do, stay together. The largest such
    families are placed first, each into the half that is smaller by then.

    Args:
        facts: of each piece.

    Raises:
        ValueError: if all pieces hang together, so that one half would be empty.
    """
    root = list(range(len(facts)))

    def find(piece: int) -> int:
        while root[piece] != piece:
            root[piece] = root[root[piece]]
            piece = root[piece]
        return piece

    first: dict[tuple[str, str], int] = {}
    for piece, known in enumerate(facts):
        for label in labels(known):
            root[find(piece)] = find(first.setdefault(label, piece))
    families: dict[int, list[int]] = {}
    for piece in range(len(facts)):
        families.setdefault(find(piece), []).append(piece)
    if len(families) < 2:
        raise ValueError(f"expected pieces of two grooves, albums or artists or more, got {len(families)}")
    side = [0] * len(facts)
    sizes = [0, 0]
    for family in sorted(families.values(), key=lambda pieces: (-len(pieces), pieces[0])):
        smaller = int(sizes[1] < sizes[0])
        sizes[smaller] += len(family)
        for piece in family:
            side[piece] = smaller
    return side


def labels(facts: Mapping[str, Any]) -> set[tuple[str, str]]:
    """What of `TOGETHER` is known of a piece: grooves under one name, whether a fact holds one or several."""
    found = set()
    for name in TOGETHER:
        value = facts.get(name)
        for one in value if isinstance(value, list) else [value]:
            if one:
                found.add((name.removesuffix("s"), str(one)))
    return found


def halve(audio: Path, out: Path) -> dict[str, int]:
    """Write the two halves of a folder of shards, ``OUT/a`` and ``OUT/b``, both or neither.

    Args:
        audio: shards with audio and facts.
        out: folder of the halves.

    Returns:
        The number of pieces of each.

    Raises:
        OSError: if there is no such folder.
        ValueError: if its pieces cannot be parted.
    """
    folder = ShardFolder(audio, ["audio"])
    facts = []
    for position in range(len(folder)):
        with folder.open(position) as sample:
            facts.append(sample.facts)
    try:
        side = sides(facts)
    except ValueError as error:
        raise ValueError(f"{audio}: {error}") from None
    with whole_folder(out) as whole:
        for number, name in enumerate(NAMES):
            with ShardWriter(whole / name, {**folder.index.made_by, "half": name}, samples_per_shard=50) as writer:
                for position in range(len(folder)):
                    if side[position] == number:
                        writer.write(folder[position])
    return {name: side.count(number) for number, name in enumerate(NAMES)}
