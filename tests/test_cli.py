"""The command line: what it lists, and how it says no."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from musegen import cli
from musegen.arguments import call
from musegen.trainer_cli import expand_parts


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    printed = capsys.readouterr().out
    for command in ("fit", "predict", "generate", "convert"):
        assert command in printed


def test_help_imports_no_torch() -> None:
    code = "import sys; from musegen import cli; cli.main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_an_unknown_command_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["compose"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "compose" in error
    assert "generate" in error


def example(words: list[str], count: int = 1, *, loud: bool = False) -> tuple[list[str], int, bool]:
    """Do something.

    Args:
        words: any number of them.
        count: how many.
        loud: how.
    """
    return words, count, loud


def test_a_function_becomes_a_command() -> None:
    assert call(example, ["a", "b c", "--count", "3", "--loud", "true"], "example") == (["a", "b c"], 3, True)


def test_a_wrong_argument_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["a", "--count", "many"], ["a", "--unknown", "1"]):
        with pytest.raises(SystemExit) as stop:
            call(example, arguments, "example")
        assert stop.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_parts_stand_in_front_of_their_experiment(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.yaml").write_text("trainer: {}\n")
    (tmp_path / "sub" / "b.yaml").write_text("parts: [../a.yaml]\n")
    (tmp_path / "c.yaml").write_text("parts: [sub/b.yaml]\n")
    expanded = expand_parts(["fit", "-c", str(tmp_path / "c.yaml"), "--trainer.max_steps", "3"])
    files = [Path(argument).name for argument in expanded if argument.endswith(".yaml")]
    assert files == ["a.yaml", "b.yaml", "c.yaml"]
    assert expanded[-2:] == ["--trainer.max_steps", "3"]


def test_a_part_of_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("parts: [a.yaml]\n")
    with pytest.raises(ValueError, match="part of itself"):
        expand_parts(["fit", "-c", str(tmp_path / "a.yaml")])


def test_a_missing_config_gets_one_line() -> None:
    with pytest.raises(ValueError, match="does not exist"):
        expand_parts(["fit", "-c", "nowhere.yaml"])


@pytest.mark.parametrize(
    ("own", "expected"), [({}, cli.SPIN), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, None)]
)
def test_threads_soon_sleep_unless_told_otherwise(
    own: dict[str, str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    cli.main(["--version"])
    assert os.environ.pop("GOMP_SPINCOUNT", None) == expected
