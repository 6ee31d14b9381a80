"""The library under ``kill -9`` and under every fault that a disk can have."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from little_clips import add, assert_whole
from musegen.app.store import schema
from musegen.app.store.library import Library
from musegen.app.store.sweep import Patience, sweep

KILLER = """
import os, random, signal, sys, time
from pathlib import Path
from little_clips import add
from musegen.app.store.library import Library

folder, log, chance = Path(sys.argv[1]), os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND), random.Random(0)

def write_on_and_on(number):
    library = Library(folder)
    while True:
        number += 1
        made = add(library, number, tags=["x", "y"])
        library.keep(made.id)
        os.write(log, f"kept {made.id}\\n".encode())
        if number % 3 == 2:
            library.delete(made.id)
            os.write(log, f"deleted {made.id}\\n".encode())

writers = []
for number in range(9):  # three at a time write into one library, and the oldest of them is killed
    writers.append(os.fork())
    if not writers[-1]:
        write_on_and_on(1000 * number)
    if len(writers) > 2 or number > 5:
        time.sleep(0.05 + 0.3 * chance.random())
        os.kill(writers.pop(0), signal.SIGKILL)
for writer in writers:
    os.kill(writer, signal.SIGKILL)
"""


def test_killing_writers_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    folder, log = tmp_path / "library", tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", KILLER, str(folder), str(log)]
    subprocess.run(command, env=environment, check=True, timeout=300)
    said = [line.split() for line in log.read_text().splitlines()]
    kept, deleted = ({id for word, id in said if word == wanted} for wanted in ("kept", "deleted"))
    library = Library(folder)
    there = assert_whole(library)
    assert len(kept) > 10, "the writers wrote"
    assert kept <= there
    assert all(library.get(id).kept is not None and library.get(id).tags == ("x", "y") for id in kept)
    assert all(library.get(id).deleted is not None for id in deleted)
    left = {path.name.partition(".")[0] for path in library.clips.iterdir()} - there
    sweep(library, Patience(orphans=-1))
    assert {path.stem for path in library.clips.iterdir()} == there, f"swept away what belonged to nobody: {left}"
    assert_whole(library)


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "execute", "commit"])
def test_every_fault_leaves_the_library_whole(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path)
    before = add(library, 0, keep=True)
    failures = 0
    for place in range(40):
        with monkeypatch.context() as patch:
            counted = _inject(patch, step, place)
            try:
                add(library, place + 1)
            except OSError:
                failures += 1
        if counted() <= place:
            break
    else:
        pytest.fail("the fault never came to an end")
    assert failures > 0
    assert len(assert_whole(library)) == 2 + place - failures, (
        "what failed is not there, what was there and what succeeded is"
    )
    assert library.get(before.id) == before
    assert {path.stem for path in library.clips.iterdir()} == assert_whole(library)


def _inject(patch: pytest.MonkeyPatch, step: str, place: int) -> Callable[[], int]:
    """Let the ``place``-th call of something fail; gives how many calls there were."""
    calls = 0

    def failing(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == place + 1:
                raise OSError(5, "Input/output error")
            return call(*arguments, **more)

        return counted

    if step == "write":
        patch.setattr("builtins.open", failing(open))
    elif step in ("fsync", "replace"):
        patch.setattr(os, step, failing(getattr(os, step)))
    else:
        connect = schema.sqlite3.connect

        class Connection:
            """A connection whose statements fail."""

            def __init__(self, *arguments: Any, **more: Any) -> None:
                object.__setattr__(self, "real", connect(*arguments, **more))

            def __getattr__(self, name: str) -> Any:
                return getattr(self.real, name)  # type: ignore[attr-defined]

            def __setattr__(self, name: str, value: Any) -> None:
                setattr(self.real, name, value)  # type: ignore[attr-defined]

            def execute(self, statement: str, *given: Any) -> Any:
                failing_one = statement.startswith("COMMIT" if step == "commit" else "INSERT")
                return (failing(self.real.execute) if failing_one else self.real.execute)(statement, *given)  # type: ignore[attr-defined]

        patch.setattr(schema.sqlite3, "connect", Connection)
    return lambda: calls
