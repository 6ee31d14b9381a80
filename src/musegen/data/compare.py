"""What two folders of shards have in common: in one sense they should be the same, in another have nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musegen.data.random_access import ShardFolder
from musegen.data.sample import FIELDS, decode
from musegen.data.shard_index import differences
from musegen.data.stored_sample import StoredSample

SHOWN = 5
"""How many of many names are shown."""


@dataclass
class Comparison:
    """How one folder differs from another.

    Args:
        missing: keys that only the other folder has.
        extra: keys that only this folder has.
        same: how many samples are the same to the last byte.
        largest: by field, the largest difference of any two numbers; infinite where shapes differ or something is no
            array.
        differing: by field, how many samples differ in it.
        made: how they were made otherwise.
    """

    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    same: int = 0
    largest: dict[str, float] = field(default_factory=dict)
    differing: Counter[str] = field(default_factory=Counter)
    made: list[str] = field(default_factory=list)

    def agrees(self, tolerance: float = 0.0) -> bool:
        """Whether both have the same samples, and no number differs by more than ``tolerance``."""
        return not self.missing and not self.extra and all(one <= tolerance for one in self.largest.values())

    def __str__(self) -> str:
        lines = [f"  {self.same} samples are the same to the last byte"]
        lines += [
            f"  {name} differs in {count} samples, by {self.largest[name]:.3g} at most"
            if np.isfinite(self.largest[name])
            else f"  {name} differs in {count} samples"
            for name, count in sorted(self.differing.items())
        ]
        for what, keys in (("missing here", self.missing), ("only here", self.extra)):
            lines += [f"  {len(keys)} samples are {what}: {_some(keys)}"] if keys else []
        return "\n".join([*lines, *(f"  made otherwise: {one}" for one in self.made)])


def compare_folders(folder: str | Path, other: str | Path) -> Comparison:
    """Compare the samples of two folders by their keys, whatever shards they are in.

    Raises:
        OSError: if there is no such folder.
        ValueError: if one has no index, or something in it is damaged.
    """
    here, there = ShardFolder(folder), ShardFolder(other)
    result = Comparison(made=differences(there.index.made_by, here.index.made_by))
    places = {key: position for position, key in enumerate(_keys(there))}
    for position, key in enumerate(_keys(here)):
        if key not in places:
            result.extra.append(key)
            continue
        with here.open(position) as one, there.open(places.pop(key)) as another:
            names = _differing(one, another)
            result.same += not names
            for name, largest in names.items():
                result.differing[name] += 1
                result.largest[name] = max(largest, result.largest.get(name, 0.0))
    result.missing = sorted(places)
    return result


def _differing(one: StoredSample, other: StoredSample) -> dict[str, float]:
    """By field, how far two samples are apart, where they are."""
    found: dict[str, float] = {}
    suffixes = sorted({*one.places, *other.places})
    for suffix in suffixes:
        contents = one.content(suffix), other.content(suffix)
        if contents[0] == contents[1]:
            continue
        name = "facts" if suffix == "json" else suffix.partition(".")[0]
        distance = np.inf
        if suffix.endswith(".npy") and None not in contents:
            left, right = (np.asarray(decode(one.key, suffix, content), np.float64) for content in contents)
            if left.shape == right.shape:
                distance = float(np.abs(left - right).max(initial=0.0))
        found[name] = max(distance, found.get(name, 0.0))
    return found


def leaks(folders: Sequence[str | Path]) -> list[str]:
    """What comes in more than one of several splits.

    That is a group (recording, artist), a key, or the same bytes of audio, latents or embedding.

    Returns:
        One line for each; none if nothing leaks.

    Raises:
        OSError: if there is no such folder.
        ValueError: if one has no index, or something in it is damaged.
    """
    opened = [ShardFolder(folder) for folder in folders]
    where: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for number, folder in enumerate(opened):
        for position in range(len(folder)):
            with folder.open(position) as sample:
                for trait in _traits(sample):
                    where[trait].setdefault(number, position)
    found = []
    for (kind, name), places in where.items():
        if len(places) < 2 or not _truly(kind, [(opened[number], place) for number, place in places.items()]):
            continue
        keys = (f"{opened[number].folder} ({_key(opened[number], place)})" for number, place in places.items())
        what = f"{kind} {name!r}" if kind in ("group", "key") else f"the same {kind}"
        found.append(f"{what} is in {' and '.join(keys)}")
    return found


def _traits(sample: StoredSample) -> Iterator[tuple[str, str]]:
    """What a sample must not share with one of another split."""
    source = f"{sample.facts['source']}: " if sample.facts.get("source") else ""
    yield "key", f"{source}{sample.key}"
    if sample.facts.get("group") is not None:
        yield "group", f"{source}{sample.facts['group']}"
    for name, suffix in FIELDS.items():
        if suffix in sample.places:
            yield name, f"{sample.places[suffix][1:]}"


def _truly(kind: str, places: Sequence[tuple[ShardFolder, int]]) -> bool:
    """Whether contents are the same, and not their checksums only."""
    if kind not in FIELDS:
        return True
    contents = set()
    for folder, position in places:
        with folder.open(position) as sample:
            contents.add(sample.content(FIELDS[kind]))
    return len(contents) == 1


def _key(folder: ShardFolder, position: int) -> str:
    with folder.open(position) as sample:
        return sample.key


def _keys(folder: ShardFolder) -> Iterator[str]:
    for shard in folder.shards:
        yield from shard.table.keys


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{', '.join(keys[:SHOWN])}{more}"
