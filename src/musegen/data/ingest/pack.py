"""Pack a source: its audio into shards, a folder for each split."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from zlib import crc32

from musegen.data.ingest.problems import Skip, UnusableError
from musegen.data.ingest.report import PackReport
from musegen.data.ingest.splits import SPLITS, Split, SplitRule
from musegen.data.sample import FIELDS, Sample
from musegen.data.shard_index import index_path, read_index_file
from musegen.data.shard_table import read_table
from musegen.data.shard_writer import ShardWriter
from musegen.data.sources.base import Source
from musegen.files import write_whole

REPORT = "report.json"
Progress = Callable[[int, int], None]
_source: Source | None = None  # of a worker


@dataclass(frozen=True)
class Packing:
    """How to pack.

    Args:
        rule: of splitting, where the corpus itself says nothing.
        splits: that are written.
        samples_per_shard: of a full tar.
        processes: that read and encode side by side.
    """

    rule: SplitRule = field(default_factory=SplitRule)
    splits: Sequence[Split] = SPLITS
    samples_per_shard: int = 500
    processes: int = 1


def pack(source: Source, out: Path, packing: Packing, progress: Progress | None = None) -> PackReport:
    """Write a source's pieces into ``out/train``, ``out/val`` and ``out/test``, and a report beside them.

    A piece that cannot be used is left out and named in the report. One whose audio is, to the last bit, that of an
    earlier piece is left out too. If it is interrupted and started again it goes on, and the shards become what they
    would have been.

    Args:
        source: of the pieces.
        out: folder; made if missing.
        packing: how.
        progress: told how many pieces are done, and of how many.

    Raises:
        ValueError: if nothing can be kept, or ``out`` holds shards that were made otherwise.
        OSError: if something cannot be written.
    """
    report = PackReport(skipped=list(source.lost))
    splits: list[Split] = [split_of(source, packing.rule, number) for number in range(len(source))]
    with ExitStack() as stack:
        writers: dict[Split, ShardWriter] = {
            split: stack.enter_context(_writer(source, out / split, packing)) for split in packing.splits
        }
        audio = {known for split in SPLITS for known in _fingerprints(out / split)}
        before = {split: frozenset(writer.keys) for split, writer in writers.items()}
        wanted = []
        for number, split in enumerate(splits):
            if split not in writers:
                continue
            if source.key(number) in before[split]:
                report.there += 1
            else:
                wanted.append(number)
        for done, (number, outcome) in enumerate(_read(source, wanted, packing.processes), 1):
            name, split = source.name(number), splits[number]
            if isinstance(outcome, Skip):
                report.skipped.append(outcome)
            elif outcome.key in before[split]:
                report.there += 1
            elif problem := _store(outcome, name, source.group(number), writers[split], audio):
                report.skipped.append(problem)
            else:
                report.keep(name, split, outcome.facts)
            if progress is not None:
                progress(done, len(wanted))
        if not report.total and not report.there:
            raise ValueError(f"expected something to pack, got nothing of {len(source)} pieces: {_why(report)}")
    write_whole({out / REPORT: (json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n").encode()})
    return report


def split_of(source: Source, rule: SplitRule, number: int) -> Split:
    """The split of a piece: the corpus's own where it has one."""
    return source.split(number) or rule.of(source.group(number))


def _writer(source: Source, folder: Path, packing: Packing) -> ShardWriter:
    made_by = {"source": source.made_by, "split": packing.rule.made_by}
    return ShardWriter(folder, made_by, packing.samples_per_shard, append=True)


def _fingerprints(folder: Path) -> Iterator[tuple[int, int]]:
    """Size and checksum of the audio that is there already."""
    if not index_path(folder).exists():
        return
    for shard in read_index_file(index_path(folder)).shards:
        table = read_table(folder / shard.name, shard.samples)
        for place in range(shard.samples):
            _, size, crc = table.places(place)[FIELDS["audio"]]
            yield size, crc


def _store(sample: Sample, name: str, group: str, writer: ShardWriter, audio: set[tuple[int, int]]) -> Skip | None:
    """Write a sample; say what is wrong with it where it cannot be written."""
    content = sample.audio or b""
    fingerprint = (len(content), crc32(content))
    if sample.key in writer.keys:
        return Skip(name, "key is there already", sample.key)
    if fingerprint in audio:
        return Skip(name, "audio is there already, under another name")
    try:
        writer.write(replace(sample, facts={**sample.facts, "group": group}))
    except ValueError as error:
        return Skip(name, "cannot be stored", str(error))
    audio.add(fingerprint)
    return None


def _read(source: Source, numbers: Sequence[int], processes: int) -> Iterator[tuple[int, Sample | Skip]]:
    """Read pieces in order, a few of them ahead."""
    if processes == 1:
        yield from ((number, _outcome(source, number)) for number in numbers)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=_begin, initargs=(source,)) as pool:
        ahead: deque[tuple[int, Future[Sample | Skip]]] = deque()
        rest = iter(numbers)
        try:
            for number in islice(rest, 4 * processes):
                ahead.append((number, pool.submit(_work, number)))
            while ahead:
                yield ahead[0][0], ahead[0][1].result()
                ahead.popleft()
                for number in islice(rest, 1):
                    ahead.append((number, pool.submit(_work, number)))
        except BrokenProcessPool:
            names = ", ".join(source.name(number) for number, _ in ahead)
            raise ValueError(f"a process that reads audio was killed; it was reading one of {names}") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(source: Source) -> None:
    """Begin a worker: it has the source once, and one thread."""
    import torch

    global _source
    _source = source
    torch.set_num_threads(1)


def _work(number: int) -> Sample | Skip:
    assert _source is not None
    return _outcome(_source, number)


def _outcome(source: Source, number: int) -> Sample | Skip:
    try:
        sample = source.read(number)
    except UnusableError as error:
        return Skip(source.name(number), error.kind, error.detail)
    return Skip(source.name(number), "nothing came of it") if sample is None else sample


def _why(report: PackReport) -> str:
    return "; ".join(f"{kind} {len(skips)} ({skips[0]})" for kind, skips in report.kinds().items()) or "it is empty"
