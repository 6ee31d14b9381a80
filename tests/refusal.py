"""How a command says no: one line on standard error, exit status 2, and no file that was not there before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from musegen.cli import main

LONGEST = 450  # characters; what jsonargparse itself says has thousands
Refused = Callable[..., str]


def refusal(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """A function that runs a command inside a folder, and gives the line with which it refuses."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["musegen"])
    monkeypatch.delenv("MUSEGEN_TRACEBACK", raising=False)

    def refused(*arguments: object) -> str:
        before = {path for path in place.rglob("*") if path.is_file()}
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr().err
        assert stopped.value.code == 2
        after = {path for path in place.rglob("*") if path.is_file()}
        assert after == before, after ^ before
        assert "usage:" not in said
        lines = [line for line in said.splitlines() if line.startswith("musegen")]
        assert len(lines) == 1, said
        assert said.endswith(f"{lines[0]}\n"), said
        assert len(lines[0]) < LONGEST, lines[0]
        return lines[0]

    return refused
