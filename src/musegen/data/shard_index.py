"""The index beside a folder's shards: how many samples each has, its checksum, and what made them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from musegen.files import write_whole

FORMAT = "musegen-shards"
VERSION = 1
NAME = re.compile(r"\w[\w-]*\.tar")
"""A shard is a plain name beside its index: never a path, never a ``pipe:``."""

SHA256 = re.compile(r"[0-9a-f]{64}")
"""A checksum names files too, and is never a path."""

UNFINISHED = ".unfinished"
"""Folder beside shards that are being cached, until all are there."""


@dataclass(frozen=True)
class Shard:
    """One tar of a folder.

    Args:
        name: a file's.
        samples: how many it has.
        bytes: its size.
        sha256: its checksum.
        made_from: names what a cached shard was computed from and how; empty where the shard itself is what is known.
    """

    name: str
    samples: int
    bytes: int
    sha256: str
    made_from: str = ""


@dataclass(frozen=True)
class ShardIndex:
    """What a folder of shards holds.

    Args:
        made_by: what made them, nested plain data: encoders, their revisions, the preprocessing.
        shards: in the order of their writing.
        licences: of the samples, sorted; ``unknown`` where one names none.
        fields: what every sample has (``caption``, ``embedding``, ``latents``, ``audio``), sorted.
    """

    made_by: Mapping[str, Any]
    shards: tuple[Shard, ...]
    licences: tuple[str, ...]
    fields: tuple[str, ...]

    @property
    def samples(self) -> int:
        """How many samples all shards have."""
        return sum(shard.samples for shard in self.shards)


def index_path(folder: Path, part: str = "") -> Path:
    """Where an index lies; each process that writes into a folder keeps its own part of it."""
    return folder / (f"index-{part}.json" if part else "index.json")


def write_index(path: Path, index: ShardIndex) -> None:
    """Write an index, whole or not at all."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "made_by": index.made_by,
        "made_by_sha256": digest(index.made_by),
        "samples": index.samples,
        "licences": list(index.licences),
        "fields": list(index.fields),
        "shards": [_entry(shard) for shard in index.shards],
    }
    write_whole({path: (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()})


def _entry(shard: Shard) -> dict[str, Any]:
    return {name: value for name, value in asdict(shard).items() if value != ""}


def read_index(folder: str | Path) -> ShardIndex:
    """Read a folder's index: all parts of it.

    Raises:
        OSError: if there is no such folder.
        ValueError: if there is no index, one that is damaged, or parts that differ in what made them.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(2, "expected a folder of shards, got none", str(folder))
    paths = sorted(folder.glob("index*.json"))
    if not paths:
        if (folder / UNFINISHED).exists():
            raise ValueError(f"{folder}: expected whole shards, got unfinished ones: start the same cache again")
        why = "was writing cut off?" if any(folder.glob("*.tar")) else "musegen pack makes shards of a folder of music"
        raise ValueError(f"{folder}: expected index.json beside the shards, got none ({why})")
    parts = [read_index_file(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if digest(part.made_by) != digest(parts[0].made_by):
            different = ", ".join(differences(parts[0].made_by, part.made_by))
            raise ValueError(f"{folder}: {paths[0].name} and {path.name} were made by different things: {different}")
    return merged(parts)


def merged(parts: Sequence[ShardIndex]) -> ShardIndex:
    """One index of several that were made by the same."""
    filled = [part for part in parts if part.shards]
    return ShardIndex(
        parts[0].made_by,
        tuple(shard for part in parts for shard in part.shards),
        tuple(sorted({licence for part in parts for licence in part.licences})),
        tuple(sorted(set.intersection(*(set(part.fields) for part in filled)))) if filled else (),
    )


def read_index_file(path: Path) -> ShardIndex:
    """Read one part of an index.

    Raises:
        ValueError: if it is no index.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError(f"expected {FORMAT} {VERSION}, got {content['format']} {content['version']}")
        shards = tuple(
            Shard(
                str(shard["name"]),
                int(shard["samples"]),
                int(shard["bytes"]),
                str(shard["sha256"]),
                str(shard.get("made_from", "")),
            )
            for shard in content["shards"]
        )
        for shard in shards:
            if not NAME.fullmatch(shard.name):
                raise ValueError(f"expected a shard's name such as 00000.tar, got {shard.name!r}")
            if not SHA256.fullmatch(shard.sha256):
                raise ValueError(f"expected the SHA-256 of {shard.name}, 64 hexadecimal digits, got {shard.sha256!r}")
        return ShardIndex(dict(content["made_by"]), shards, tuple(content["licences"]), tuple(content["fields"]))
    except (ValueError, KeyError, TypeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}: expected an index of shards: {reason}") from None


def digest(made_by: Mapping[str, Any]) -> str:
    """SHA-256 of what made a folder's shards."""
    return hashlib.sha256(json.dumps(made_by, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def differences(expected: Mapping[str, Any], got: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where ``got`` lacks or contradicts something of ``expected``, one phrase each."""
    found = []
    for name, value in expected.items():
        if isinstance(value, Mapping) and isinstance(got.get(name), Mapping):
            found += differences(value, got[name], f"{prefix}{name}.")
        elif name not in got or got[name] != value:
            found.append(f"{prefix}{name} is {repr(got[name]) if name in got else 'missing'}, not {value!r}")
    return found


def check_made_by(folder: str | Path, index: ShardIndex, requires: Mapping[str, Any] | None) -> None:
    """Refuse shards that something else made than a run asks for.

    Args:
        folder: for the message.
        index: of the folder.
        requires: a part of ``made_by`` that must be there as it is here.

    Raises:
        ValueError: naming what differs.
    """
    different = differences(requires or {}, index.made_by)
    if different:
        raise ValueError(f"{folder}: its shards were made by something else than `requires`: {'; '.join(different)}")
