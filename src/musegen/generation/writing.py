"""Files of clips, written while the next clips are made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from musegen.generation.clip import Clip

AHEAD = 4
"""Clips that wait to be written before the next one has to wait too."""


class ClipWriter:
    """Writes clips one after the other in a thread of its own; each is there whole or not at all, as by `Clip.save`.

    Use it as a context: leaving it waits for what is still to be written, also where an error or Ctrl-C ends it, so
    that every clip that was handed in is kept. What could not be written is raised at the next clip, or on leaving.

    Args:
        format: see `Clip.save`; None to follow each path.
        bits: see `Clip.save`.
        written: told of every audio file when it and its JSON are on the disk, in the order of `save`.
    """

    def __init__(
        self, format: str | None = None, bits: int = 16, written: Callable[[Path], object] | None = None
    ) -> None:
        self.format, self.bits, self.written = format, bits, written
        self.paths: list[Path] = []
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, "write")

    def save(self, clip: Clip, path: Path) -> None:
        """Hand in a clip.

        Raises:
            OSError: if an earlier one could not be written.
        """
        while self._waiting and (self._waiting[0].done() or len(self._waiting) >= AHEAD):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(self._write, clip, path))

    def _write(self, clip: Clip, path: Path) -> None:
        saved = clip.save(path, self.format, self.bits)
        self.paths.append(saved)
        if self.written is not None:
            self.written(saved)

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if error is None:
            for one in self._waiting:
                one.result()
