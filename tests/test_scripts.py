"""The scripts, wherever the repository lies."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"


@pytest.mark.parametrize(
    ("script", "arguments", "program", "first"),
    [
        ("train_small.sh", [], "musegen", "render out/small/audio/val"),
        ("train_default.sh", ["render"], "musegen", "render out/default/audio/"),
        ("evaluate_default.sh", [], "python", "describe_pipeline.py out/evaluation/pipeline.txt"),
    ],
)
def test_a_repository_in_a_folder_with_a_space(
    tmp_path: Path, script: str, arguments: list[str], program: str, first: str
) -> None:
    shutil.copytree(SCRIPTS, tmp_path / "my music" / "scripts")
    stand_in = tmp_path / "my music" / ".venv" / "bin" / program
    stand_in.parent.mkdir(parents=True)
    stand_in.write_text('#!/bin/sh\necho "$@" >> called\nexit 3\n')
    stand_in.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("MUSEGEN", "PYTHON", "OUT")}
    command = ["bash", str(tmp_path / "my music" / "scripts" / script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode
    assert first in (tmp_path / "called").read_text().splitlines()[0], done.stderr
