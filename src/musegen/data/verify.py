"""Look at every byte of a folder of shards, and say what is wrong with it."""

from __future__ import annotations

import io
import json
import math
import os
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from musegen.audio import why
from musegen.data.cache_folder import RECORDS
from musegen.data.open_shard import UNKNOWN
from musegen.data.sample import FIELDS, Sample, from_members
from musegen.data.shard_file import ShardFile
from musegen.data.shard_index import Shard, ShardIndex, digest, read_index, read_index_file
from musegen.data.shard_reader import DamagedShardError, read_samples
from musegen.data.shard_table import ShardTable, read_table, table_path

NORM_TOLERANCE = 1e-2
"""How far from 1 the length of a unit vector may be: float16 keeps three digits."""

SHOWN = 5
"""How many of many names are shown."""


@dataclass
class Report:
    """What a folder holds, and what is wrong with it.

    Args:
        folder: which one.
        samples: how many could be read.
        seconds: of music, by the samples' own facts.
        shapes: how many samples have which shape, such as ``latents [64, frames]``.
        licences: how many samples are under which.
        fields: what every sample has.
        problems: one line each; empty if all is well.
    """

    folder: Path
    samples: int = 0
    seconds: float = 0.0
    shapes: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    fields: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.folder}: {self.samples} samples, {self.seconds / 3600:.2f} hours"]
        lines += [f"  {count} with {name}" for name, count in sorted((self.shapes + self.licences).items())]
        lines += [f"  wrong: {problem}" for problem in self.problems] or ["  nothing is wrong"]
        return "\n".join(lines)


def verify_folder(folder: str | Path, progress: Callable[[int, int], None] | None = None) -> Report:
    """Check a folder: checksums, counts, keys, shapes, finite numbers, unit lengths, and that each sample decodes.

    Args:
        folder: of shards.
        progress: told how many shards are done, and of how many.

    Returns:
        A report; problems of single shards and samples are in it.

    Raises:
        OSError: if there is no such folder.
        ValueError: if its index cannot be read.
    """
    report = Report(Path(folder))
    # records beside an index are those of a run that died after its last step but tidying up
    if (report.folder / RECORDS).exists() and not any(report.folder.glob("index*.json")):
        report.problems.append("it is unfinished: start the same musegen cache again")
        return report
    index = read_index(folder)
    seen: dict[str, str] = {}
    for number, shard in enumerate(index.shards):
        _check_shard(report, shard, seen)
        if progress is not None:
            progress(number + 1, len(index.shards))
    here = {path.name for path in report.folder.glob("*.tar")}
    for name in sorted(here - {shard.name for shard in index.shards}):
        report.problems.append(f"{name}: is not in the index")
    if not report.problems:
        _check_index(report, index)
    return report


def _check_shard(report: Report, shard: Shard, seen: dict[str, str]) -> None:
    """Look at all samples of a shard; where it is damaged, find out which."""
    path = report.folder / shard.name
    found = []
    try:
        for raw in read_samples(path, shard):
            found.append((raw.key, {name: (len(part), zlib.crc32(part)) for name, part in raw.members.items()}))
            if raw.key in seen:
                report.problems.append(f"{shard.name}: {raw.key} is in {seen[raw.key]} too")
            seen[raw.key] = shard.name
            sample = from_members(raw.key, raw.members)
            report.problems += [f"{shard.name}: {raw.key}: {problem}" for problem in problems_of(sample)]
            _count(report, sample)
        if _listed(read_table(path, shard.samples)) != found:
            report.problems.append(f"{table_path(path).name}: what it lists is not what is in {shard.name}")
    except ValueError as error:
        report.problems.append(str(error).replace(f"{report.folder}/", ""))
        if isinstance(error, DamagedShardError) and path.exists():
            lost = damaged_members(path, shard)
            more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
            report.problems.append(
                f"{shard.name}: damaged or cut off: {', '.join(lost[:SHOWN])}{more}"
                if lost
                else f"{shard.name}: the damage is outside of all samples"
            )


def damaged_members(path: Path, shard: Shard) -> list[str]:
    """Names of a damaged shard's members that are not what was written, by its table; none if that is lost too."""
    file = ShardFile(path, shard)
    lost = []
    try:
        table = file.table
        descriptor = file.open()
    except DamagedShardError:
        return []
    try:
        for number, key in enumerate(table.keys):
            for suffix, place in sorted(table.places(number).items()):
                try:
                    file.read(descriptor, f"{key}.{suffix}", *place)
                except DamagedShardError:
                    lost.append(f"{key}.{suffix}")
    finally:
        os.close(descriptor)
    return lost


def _check_index(report: Report, index: ShardIndex) -> None:
    """Compare what the index says of all samples with what they are."""
    for path in sorted(report.folder.glob("index*.json")):
        said = json.loads(path.read_bytes())
        part = read_index_file(path)
        for name, expected in (("samples", part.samples), ("made_by_sha256", digest(part.made_by))):
            if said.get(name) != expected:
                report.problems.append(f"{path.name}: its {name} is {said.get(name)!r}, not {expected!r}")
    licences = sorted(name.removeprefix("licence ") for name in report.licences)
    if report.samples and sorted(index.licences) != licences:
        report.problems.append(f"index.json: its licences are {list(index.licences)}, those of its samples {licences}")
    if report.samples and set(index.fields) != report.fields:
        fields = f"{list(index.fields)}, all of its samples have {sorted(report.fields)}"
        report.problems.append(f"index.json: its fields are {fields}")


def _listed(table: ShardTable) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """Key, sizes and checksums of every sample."""
    places = map(table.places, range(len(table.keys)))
    return [
        (key, {suffix: (size, crc) for suffix, (_, size, crc) in place.items()})
        for key, place in zip(table.keys, places, strict=True)
    ]


def _count(report: Report, sample: Sample) -> None:
    report.fields = set(sample.fields) if not report.samples else report.fields & sample.fields
    report.samples += 1
    report.seconds += float(sample.facts.get("seconds") or 0.0)
    report.licences[f"licence {sample.facts.get('licence') or UNKNOWN}"] += 1
    if sample.embedding is not None:
        report.shapes[f"embedding [windows, {sample.embedding.shape[-1]}]"] += 1
    if sample.latents is not None:
        report.shapes[f"latents [{sample.latents.shape[0]}, frames]"] += 1
    if sample.text is not None:
        report.shapes[f"text [tokens, {sample.text[0].shape[-1]}]"] += 1
    for name in sorted(sample.fields - {*FIELDS, "text"} | (sample.fields & {"audio"})):
        report.shapes[name] += 1


def problems_of(sample: Sample) -> list[str]:
    """What a run would stumble over, or learn wrong."""
    found = []
    embedding, latents, facts = sample.embedding, sample.latents, sample.facts
    if embedding is not None:
        if embedding.ndim != 2:
            return [f"its embedding has shape {list(embedding.shape)}, not [windows, dim]"]
        lengths = np.linalg.norm(embedding.astype(np.float64), axis=1)
        if not np.all(np.abs(lengths - 1) < NORM_TOLERANCE):
            found.append(f"its embedding has vectors of length {lengths.min():.4g} to {lengths.max():.4g}, not 1")
        if len(embedding) > 1 and len(facts.get("windows", ())) != len(embedding):
            found.append(f"its embedding has {len(embedding)} rows, its facts {len(facts.get('windows', ()))} windows")
    if sample.text is not None:
        if len(sample.text) != len(sample.captions):
            found.append(f"it has text states of {len(sample.text)} captions, but {len(sample.captions)} captions")
        for number, states in enumerate(sample.text):
            if states.ndim != 2 or not len(states):
                found.append(f"its text states {number} have shape {list(states.shape)}, not [tokens, dim]")
            elif not np.isfinite(states).all():
                found.append(f"its text states {number} hold NaN or infinity")
    if latents is not None:
        if latents.ndim != 2:
            return [*found, f"its latents have shape {list(latents.shape)}, not [channels, frames]"]
        if not np.isfinite(latents).all():
            found.append("its latents hold NaN or infinity")
        try:
            expected = float(facts["seconds"]) * float(facts["latent_rate"])
            if not math.ceil(expected - 1e-6) - 1 <= latents.shape[1] <= math.ceil(expected) + 1:
                found.append(f"it has {latents.shape[1]} frames, but {facts['seconds']} s make {expected:.1f}")
        except (KeyError, TypeError, ValueError):
            found.append("its facts lack seconds or latent_rate")
    if sample.audio is not None:
        try:
            if soundfile.info(io.BytesIO(sample.audio)).frames == 0:
                found.append("its audio is empty")
        except soundfile.LibsndfileError as error:
            found.append(f"its audio cannot be decoded: {why(error)}")
    return found
