"""Hearing all clips: each file is decoded once for all metrics, on several threads, and what was heard is kept."""

from __future__ import annotations

import hashlib
import io
import os
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from musegen.files import write_whole
from musegen.metrics.base import Metric, MusicSet
from musegen.metrics.hearing.base import Heard
from musegen.metrics.music import Piece, decode, length_of
from musegen.torchaudio_guard import import_torchaudio

AHEAD = 4
"""Clips that wait for each thread: what is decoded stays in memory until it is heard."""


@dataclass
class Account:
    """How much was heard, and how fast.

    Args:
        clips: heard anew.
        kept: that were heard before.
        wall: seconds it took.
    """

    clips: int = 0
    kept: int = 0
    wall: float = 0.0
    _began: float = field(default=0.0, repr=False)

    def __str__(self) -> str:
        rate = f", {self.clips / self.wall:.2f} clips/s" if self.clips and self.wall else ""
        return f"{self.clips} clips heard in {self.wall:.1f} s{rate}; {self.kept} had been heard before"


class Listener:
    """Hears what metrics ask for.

    Args:
        metrics: that ask.
        cache: folder for what was heard, by the file's hash; None to keep nothing.
        seconds: of every clip no more than its first are heard; None for all.
        workers: threads; by default one for each processor, eight at most.
    """

    def __init__(
        self,
        metrics: Sequence[Metric],
        cache: Path | None = None,
        seconds: float | None = None,
        workers: int | None = None,
    ) -> None:
        if seconds is not None and seconds <= 0:
            raise ValueError(f"seconds: expected more than 0, got {seconds}")
        if workers is not None and workers < 1:
            raise ValueError(f"workers: expected 1 or more, got {workers}")
        wanted = [feature for metric in metrics for feature in metric.features()]
        self.features = {feature.identity: feature for feature in reversed(wanted)}
        self.cache, self.seconds = cache, seconds
        self.workers = workers or min(8, len(os.sched_getaffinity(0)))
        self.account = Account()

    def hear(
        self, name: str, pieces: Sequence[Piece], progress: Callable[[str, int, int], None] | None = None
    ) -> MusicSet:
        """Hear all clips of a set.

        Args:
            name: of the set, for messages.
            pieces: the clips.
            progress: told the name, how many are done, and of how many.

        Raises:
            ValueError: naming the file, if one is no audio.
            ImportError: in one line, if a judge's package is missing.
        """
        start, heard = time.perf_counter(), []
        for one, kept in self._each(pieces):
            heard.append(one)
            self.account.kept += kept
            self.account.clips += not kept
            if progress is not None:
                progress(name, len(heard), len(pieces))
        self.account.wall += time.perf_counter() - start
        return MusicSet(name, pieces, {identity: [one[identity] for one in heard] for identity in self.features})

    def _each(self, pieces: Sequence[Piece]) -> Iterator[tuple[dict[str, Heard], bool]]:
        """In order, with a few clips at work ahead of the one that is asked for."""
        import_torchaudio()  # here, because two threads must not import it at once
        with ThreadPoolExecutor(self.workers) as pool:
            waiting: deque[Future[tuple[dict[str, Heard], bool]]] = deque()
            try:
                for piece in pieces:
                    waiting.append(pool.submit(self._one, piece))
                    if len(waiting) > AHEAD * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _one(self, piece: Piece) -> tuple[dict[str, Heard], bool]:
        """What is heard in a clip, and whether all of it had been heard before."""
        content = piece.content()
        digest = hashlib.sha256(content).hexdigest()
        known = {identity: self._recall(digest, identity) for identity in self.features}
        heard = {identity: one for identity, one in known.items() if one is not None}
        if len(heard) == len(self.features):
            return heard, True
        sound = decode(content, piece.key, self.seconds)
        for identity, feature in self.features.items():
            if identity not in heard:
                heard[identity] = feature.hear(sound)
                self._keep(digest, identity, heard[identity])
        return heard, False

    def _path(self, digest: str, identity: str) -> Path:
        assert self.cache is not None
        length = "all" if self.seconds is None else f"{self.seconds:g}s"
        return self.cache / digest[:2] / f"{digest[:32]}-{length}-{identity}.npz"

    def _recall(self, digest: str, identity: str) -> Heard | None:
        if self.cache is None:
            return None
        try:
            with np.load(self._path(digest, identity), allow_pickle=False) as stored:
                return dict(stored)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile):
            return None  # not there, or cut off: it is heard again

    def _keep(self, digest: str, identity: str, heard: Heard) -> None:
        if self.cache is not None:
            buffer = io.BytesIO()
            arrays: dict[str, Any] = {name: np.asarray(value) for name, value in heard.items()}
            np.savez(buffer, **arrays)
            write_whole({self._path(digest, identity): buffer.getvalue()})


def longest(pieces: Sequence[Piece]) -> float:
    """Seconds of the longest clip."""
    return max(length_of(piece.content(), piece.key) for piece in pieces)


def default_cache() -> Path:
    """Where what was heard is kept unless a user says otherwise: under ``XDG_CACHE_HOME``, or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "musegen" / "heard"
