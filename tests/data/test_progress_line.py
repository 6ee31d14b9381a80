"""Progress of one process among many: rate, time left, and no flood of lines."""

from __future__ import annotations

import io

import pytest

from musegen.data.progress_line import ProgressLine, clock_time


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_of_a_log_come_now_and_then() -> None:
    now, log = [100.0], io.StringIO()
    line = ProgressLine("encoding", log, every=10, clock=lambda: now[0])
    now[0] = 500.0  # loading took long: it does not count
    line(0, 50, rank=2, world=4)
    for done in range(1, 51):
        now[0] += 2
        line(done, 50, rank=2, world=4)
    lines = log.getvalue().splitlines()
    assert lines[0] == "encoding, process 3 of 4: 0 of 50 samples"
    assert lines[1] == "encoding, process 3 of 4: 5 of 50 samples, 0.5 a second, 0:01:30 left"
    assert lines[-1] == "encoding, process 3 of 4: 50 of 50 samples, 0.5 a second, 0:00:00 left"
    assert len(lines) == 1 + 10


@pytest.mark.parametrize(("world", "lines"), [(1, 1), (2, 2)])
def test_one_process_at_a_terminal_writes_over_its_line(world: int, lines: int) -> None:
    now, screen = [0.0], Terminal()
    line = ProgressLine("encoding", screen, every=10, clock=lambda: now[0])
    for done in range(4):
        now[0] += 1
        line(done, 3, world=world)
    assert screen.getvalue().count("\n") == lines
    assert screen.getvalue().count("\r") == (4 if world == 1 else 0)


def test_hours() -> None:
    assert [clock_time(seconds) for seconds in (0.4, 59.6, 3725, 360000)] == [
        "0:00:00",
        "0:01:00",
        "1:02:05",
        "100:00:00",
    ]
