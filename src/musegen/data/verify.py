"""Look at every byte of a folder of shards, and say what is wrong with it."""

from __future__ import annotations

import io
import math
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from musegen.data.sample import FIELDS, Sample, from_members
from musegen.data.shard_index import read_index
from musegen.data.shard_reader import read_samples
from musegen.data.shard_table import ShardTable, read_table, table_path

NORM_TOLERANCE = 1e-2
"""How far from 1 the length of a unit vector may be: float16 keeps three digits."""


@dataclass
class Report:
    """What a folder holds, and what is wrong with it.

    Args:
        folder: which one.
        samples: how many could be read.
        seconds: of music, by the samples' own facts.
        shapes: how many samples have which shape, such as ``latents [64, frames]``.
        licences: how many samples are under which.
        problems: one line each; empty if all is well.
    """

    folder: Path
    samples: int = 0
    seconds: float = 0.0
    shapes: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
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
    index = read_index(folder)
    seen: dict[str, str] = {}
    for number, shard in enumerate(index.shards):
        path = report.folder / shard.name
        found = []
        try:
            for raw in read_samples(path, shard):
                found.append((raw.key, {name: (len(part), zlib.crc32(part)) for name, part in raw.members.items()}))
                if raw.key in seen:
                    report.problems.append(f"{shard.name}: {raw.key} is in {seen[raw.key]} too")
                seen[raw.key] = shard.name
                sample = from_members(raw.key, raw.members)
                report.problems += [f"{shard.name}: {raw.key}: {problem}" for problem in _problems(sample)]
                _count(report, sample)
            if _listed(read_table(path, shard.samples)) != found:
                report.problems.append(f"{table_path(path).name}: what it lists is not what is in {shard.name}")
        except ValueError as error:
            report.problems.append(str(error).removeprefix(f"{report.folder}/"))
        if progress is not None:
            progress(number + 1, len(index.shards))
    here = {path.name for path in report.folder.glob("*.tar")}
    for name in sorted(here - {shard.name for shard in index.shards}):
        report.problems.append(f"{name}: is not in the index")
    return report


def _listed(table: ShardTable) -> list[tuple[str, dict[str, tuple[int, int]]]]:
    """Key, sizes and checksums of every sample."""
    places = map(table.places, range(len(table.keys)))
    return [
        (key, {suffix: (size, crc) for suffix, (_, size, crc) in place.items()})
        for key, place in zip(table.keys, places, strict=True)
    ]


def _count(report: Report, sample: Sample) -> None:
    report.samples += 1
    report.seconds += float(sample.facts.get("seconds") or 0.0)
    report.licences[f"licence {sample.facts.get('licence') or 'unknown'}"] += 1
    if sample.embedding is not None:
        report.shapes[f"embedding [windows, {sample.embedding.shape[-1]}]"] += 1
    if sample.latents is not None:
        report.shapes[f"latents [{sample.latents.shape[0]}, frames]"] += 1
    for name in sorted(sample.fields - set(FIELDS) | (sample.fields & {"audio"})):
        report.shapes[name] += 1


def _problems(sample: Sample) -> list[str]:
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
            found.append(f"its audio cannot be decoded: {error}")
    return found
