"""How many samples a second are read, decoded and put into batches, beside what a GPU consumes."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice, repeat
from pathlib import Path
from typing import Any

import torch

from musegen.bench.synthetic_shards import KINDS, Kind, write_shards
from musegen.data.items import ItemMaker
from musegen.data.loader import Items, Loader
from musegen.data.order import EpochOrder, Place, TrainingBatches
from musegen.data.random_access import ShardFolder
from musegen.data.sample import FIELDS
from musegen.files import write_whole

CONSUMERS = {
    "latents": ("stage 2, 1.05B, compiled, on one H100", 58.0),
    "text": ("stage 1 at its fastest, 271M, on one H100", 20000.0),
}
"""What is told samples by which field, and how many it takes a second."""


@dataclass(frozen=True)
class Row:
    """One way of reading, measured.

    Args:
        what: is read.
        how: ``raw`` (bytes and their checksums), ``decoded`` (one caption, one crop), ``batched`` (as training gets
            them), or ``webdataset`` (its own reading in order, decoded, for comparison).
        workers: processes beside the reading one.
        samples: a second.
        alone: samples a second of this process's own time, as if nobody else used the cores; None with workers.
        bytes: a second, of the members that are read.
        consumer: who takes them.
        consumed: how many that takes a second.
    """

    what: str
    how: str
    workers: int
    samples: float
    alone: float | None
    bytes: float
    consumer: str
    consumed: float

    def __str__(self) -> str:
        alone = "" if self.alone is None else f"{self.alone:,.0f}"
        rates = f"{self.samples:>10,.0f} {alone:>10} {self.bytes / 1e6:>8,.0f}"
        return f"{self.what:<28} {self.how:<10} {self.workers:>7} {rates} {self.samples / self.consumed:>8.2f}"


def data(
    folder: Path | None = None,
    workers: Sequence[int] = (0, 1, 2),
    seconds: float = 2.0,
    frames: int = 1024,
    epochs: int = 0,
    out: Path | None = None,
) -> None:
    """Measure reading: raw, decoded and batched, with any numbers of workers.

    Shuffled, as training reads; each figure is the best of three runs. What was read before comes from the page cache.

    Args:
        folder: of shards with latents or with text states; null makes shards of noise, at the sizes of both stages.
        workers: numbers of processes to try.
        seconds: of each measurement.
        frames: length of latents in a batch.
        epochs: go through as many epochs of batches and print how much memory is held after the first and the last.
        out: JSON file for the figures.
    """
    if seconds <= 0:
        raise ValueError(f"seconds: expected more than 0, got {seconds}")
    if not workers or min(workers) < 0:
        raise ValueError(f"workers: expected numbers of processes, 0 or more, got {list(workers)}")
    rows, memory = [], {}
    print(f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}")
    print(f"{'':28} {'':10} {'workers':>7} {'samples/s':>10} {'a CPU s':>10} {'MB/s':>8} {'÷ GPU':>8}")
    with tempfile.TemporaryDirectory(prefix="musegen-bench-") as room:
        for kind, place in _given(folder, frames) if folder else _made(Path(room)):
            for row in measure(place, kind, workers, seconds):
                rows.append(row)
                print(row, flush=True)
            if epochs:
                memory[kind.name] = held = memory_after(place, kind, epochs, max(workers))
                print(f"{kind.name}: {held[0]:.1f} MB held after epoch 1, {held[-1]:.1f} MB after epoch {len(held)}")
    for name, number in sorted({(row.consumer, row.consumed) for row in rows}):
        print(f"÷ GPU: {number:,.0f} samples/s is what {name}, takes")
    if out is not None:
        content = {
            "machine": {"cores": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__},
            "rows": [asdict(row) for row in rows],
            "memory_mb": memory,
        }
        write_whole({out: (json.dumps(content, indent=1) + "\n").encode()})


def _made(room: Path) -> Iterator[tuple[Kind, Path]]:
    for number, kind in enumerate(KINDS):
        write_shards(room / str(number), kind)
        yield kind, room / str(number)


def _given(folder: Path, frames: int) -> Iterator[tuple[Kind, Path]]:
    held = ShardFolder(folder).index.fields
    if "latents" in held:
        yield Kind("latents", ("embedding", "latents") if "embedding" in held else ("latents",), 8, frames), folder
    if {"text", "embedding"} <= set(held):
        yield Kind("embedding + text states", ("embedding", "text"), 256), folder
    if not {"latents", "text"} & set(held):
        raise ValueError(f"{folder}: expected shards with latents or text states, got {', '.join(held) or 'none'}")


def measure(folder: Path, kind: Kind, workers: Sequence[int], seconds: float) -> Iterator[Row]:
    """Measure all ways of reading one folder."""
    consumer, consumed = next(CONSUMERS[field] for field in CONSUMERS if field in kind.fields)
    size = _bytes_of_an_item(folder, kind)

    def row(how: str, number: int, rates: tuple[float, float]) -> Row:
        samples, alone = rates
        return Row(kind.name, how, number, samples, None if number else alone, samples * size, consumer, consumed)

    yield row("webdataset", 0, _rate(_webdataset(folder, kind.batch_size), seconds))
    for how in ("raw", "decoded", "batched"):
        for number in workers:
            with _loader(folder, kind, how, number) as loader:
                for _ in loader:
                    pass  # workers have begun and tables are read by then
                yield row(how, number, _rate((batch["key"] for epoch in repeat(loader) for batch in epoch), seconds))


def memory_after(folder: Path, kind: Kind, epochs: int, workers: int) -> list[float]:
    """Megabytes that this process and its workers hold for themselves after each epoch of batches."""
    held = []
    with _loader(folder, kind, "batched", workers) as loader:
        for _ in range(epochs):
            for _ in loader:
                pass
            held.append(sum(map(_private, [os.getpid(), *loader.workers])) / 1e6)
    return held


@contextmanager
def _loader(folder: Path, kind: Kind, how: str, workers: int) -> Iterator[Loader]:
    kinds = {"raw": _Raw, "decoded": _Decoded, "batched": Items}
    batch_size = min(kind.batch_size, len(ShardFolder(folder)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than cores: to see what that gives is why one measures
        items = kinds[how]([ShardFolder(folder, kind.fields)], ItemMaker(kind.fields, kind.frames))  # type: ignore
        loader = Loader(items, TrainingBatches(EpochOrder([len(items)]), batch_size), workers)
        try:
            yield loader
        finally:
            loader.close()


class _Raw(Items):
    """Reads the members of items and compares their checksums; nothing goes to the reading process."""

    def __getitems__(self, places: list[Place]) -> dict[str, Any]:
        wanted = {"json", *(FIELDS[field] for field in self.make.fields if field in FIELDS)}
        wanted |= {"text.0.npy"} if "text" in self.make.fields else set()
        for _, position, _ in places:
            with self.open(position) as sample:
                for suffix in wanted:
                    sample.content(suffix)
        return {"key": [""] * len(places)}


class _Decoded(Items):
    """Makes items, and keeps them to itself."""

    def __getitems__(self, places: list[Place]) -> dict[str, Any]:
        return {"key": [self[place]["key"] for place in places]}


def _rate(batches: Iterator[Sequence[Any]], seconds: float) -> tuple[float, float]:
    """Samples a second, and a second of this process's own time; the best of three runs."""
    rates = []
    for _ in range(3):
        begin, own, count = time.perf_counter(), time.process_time(), 0
        while (taken := time.perf_counter() - begin) < seconds / 3:
            count += len(next(batches))
        rates.append((count / taken, count / (time.process_time() - own)))
    return max(rate for rate, _ in rates), max(rate for _, rate in rates)


def _webdataset(folder: Path, batch_size: int) -> Iterator[list[Any]]:
    from webdataset import WebDataset  # type: ignore[attr-defined]

    urls = [str(shard.path) for shard in ShardFolder(folder).shards]
    samples = (sample for _ in repeat(None) for sample in WebDataset(urls, shardshuffle=False).decode())
    while True:
        yield list(islice(samples, batch_size))


def _bytes_of_an_item(folder: Path, kind: Kind) -> float:
    shards = ShardFolder(folder).shards
    suffixes = [FIELDS[field] for field in kind.fields if field in FIELDS]
    suffixes += ["text.0.npy"] if "text" in kind.fields else []
    sizes = [shard.table.members[suffix][:, 1].sum() for shard in shards for suffix in suffixes]
    return float(sum(sizes)) / sum(shard.entry.samples for shard in shards)


def _private(process: int) -> int:
    """Bytes that no other process shares, and no file holds; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("RssAnon:")), 0)
