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
        ("train_small.sh", [], "musegen", "render out/small/audio/.val"),
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


def test_songs_of_a_run_that_was_cut_off_are_not_taken_for_all(tmp_path: Path) -> None:
    stand_in = tmp_path / "musegen"
    stand_in.write_text(
        '#!/bin/sh\necho "$1" "$2" >> called\nmkdir -p "$2" && touch "$2/index.json"\nexit ${STATUS:-0}\n'
    )
    stand_in.chmod(0o755)
    command = ["bash", str(SCRIPTS / "train_small.sh"), "out"]

    def run(**more: str) -> list[str]:
        (tmp_path / "called").unlink(missing_ok=True)
        environment = {**os.environ, "MUSEGEN": str(stand_in), **more}
        subprocess.run(command, cwd=tmp_path, env=environment, check=False, capture_output=True)
        return (tmp_path / "called").read_text().splitlines()

    assert [line.split()[0] for line in run(STATUS="130")] == ["render"]
    assert [line.split()[0] for line in run()][:3] == ["render", "render", "fit"]
    assert sorted(path.name for path in (tmp_path / "out" / "audio").iterdir()) == ["train", "val"]
    assert run()[0].split()[0] == "fit"


def test_songs_are_kept_decoded_where_audio_is_read(tmp_path: Path) -> None:
    stand_in = tmp_path / "musegen"
    stand_in.write_text('#!/bin/sh\necho "$@" >> called\n')
    stand_in.chmod(0o755)
    for folder in ("audio/train-0", "audio/val", "shards/train-0", "shards/val"):
        (tmp_path / "out" / folder).mkdir(parents=True)
        (tmp_path / "out" / folder / "index.json").touch()

    def kept(phase: str, **more: str) -> str | None:
        (tmp_path / "called").unlink(missing_ok=True)
        environment = {**os.environ, "MUSEGEN": str(stand_in), "PYTHON": "true", "OUT": "out", **more}
        command = ["bash", str(SCRIPTS / "train_default.sh"), phase]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        words = (tmp_path / "called").read_text().split()
        return words[words.index("--data.init_args.decoded") + 1] if "--data.init_args.decoded" in words else None

    assert [kept(phase) for phase in ("vae", "vae_adversarial", "joint")] == ["out/decoded"] * 3
    assert kept("joint", DECODED="elsewhere") == "elsewhere"
    assert kept("joint", DECODED="no") is None
    assert kept("text2muq") is None
