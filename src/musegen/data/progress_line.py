"""One line of progress for each process of many, whose lines share a terminal or a log."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import TextIO


class ProgressLine:
    """Says how far a process is, how fast, and when it will be done.

    A lone process at a terminal writes over its line; others add a line now and then.

    Args:
        what: is done, such as ``encoding``.
        file: where to; standard error by default.
        every: seconds between lines in a log.
        clock: in seconds.
    """

    def __init__(
        self, what: str, file: TextIO | None = None, every: float = 15.0, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.what, self.every, self.clock = what, every, clock
        self.file = sys.stderr if file is None else file
        self._began = self._said = clock()

    def __call__(self, done: int, total: int, rank: int = 0, world: int = 1) -> None:
        """Take note of progress; the first call starts the clock.

        Args:
            done: how many samples.
            total: of how many.
            rank: of this process.
            world: how many processes there are.
        """
        now = self.clock()
        if done == 0:
            self._began = now
        over = world == 1 and self.file.isatty()
        if done not in (0, total) and now - self._said < (0.2 if over else self.every):
            return
        self._said = now
        line = f"{self.what}, process {rank + 1} of {world}: {done} of {total} samples"
        if done > 0:
            rate = done / max(now - self._began, 1e-9)
            line += f", {rate:.1f} a second, {clock_time((total - done) / rate)} left"
        end = "\n" if not over or done == total else ""
        # one write, so that lines of several processes do not mix
        self.file.write(f"\r{line}\033[K{end}" if over else f"{line}{end}")
        self.file.flush()


def clock_time(seconds: float) -> str:
    """Seconds as ``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
