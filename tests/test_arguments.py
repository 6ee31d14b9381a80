"""A command's arguments: in a row, by their names, from YAML, or some of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from musegen.arguments import call


def command(
    audio: Path, out: Path, embedder: str | dict[str, Any] | None = "a", size: int = 3, trust: list[str] | None = None
) -> tuple[Any, ...]:
    """Do something.

    Args:
        audio: from here.
        out: to there.
        embedder: with this.
        size: in such pieces.
        trust: these.
    """
    return audio, out, embedder, size, trust


RECIPE = {"class_path": "a.B", "init_args": {"c": 1}}


@pytest.fixture
def yaml(tmp_path: Path) -> str:
    path = tmp_path / "c.yaml"
    path.write_text("audio: A\nout: B\nembedder:\n  class_path: a.B\n  init_args: {c: 1}\nsize: 5\ntrust: [x, y]\n")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["A", "B"], ("A", "B", "a", 3, None)),
        (["--audio", "A", "--out=B"], ("A", "B", "a", 3, None)),
        (["-c", "YAML"], ("A", "B", RECIPE, 5, ["x", "y"])),
        (["-c", "YAML", "--out", "C", "--size", "7"], ("A", "C", RECIPE, 7, ["x", "y"])),
        (["-c", "YAML", "D", "E", "--embedder", "null"], ("D", "E", None, 5, ["x", "y"])),
        (["A", "B", "--trust", "p", "q", "-c", "YAML"], ("A", "B", RECIPE, 5, ["x", "y"])),
        (["A", "B", "--trust", "p", "--size", "1"], ("A", "B", "a", 1, ["p"])),
        (["A", "B", "--trust", "[p, q]"], ("A", "B", "a", 3, ["p", "q"])),
    ],
)
def test_all_ways_to_say_it(yaml: str, arguments: list[str], expected: tuple[Any, ...]) -> None:
    given = [yaml if argument == "YAML" else argument for argument in arguments]
    assert call(command, given, "test") == (Path(expected[0]), Path(expected[1]), *expected[2:])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sise: 5\n", "did you mean size?"),
        ("size: [\n", "Problems parsing config"),
        ("size: much\n", "expected int, got much"),
    ],
)
def test_mistakes_in_a_file_get_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(SystemExit) as ended:
        call(command, ["A", "B", "-c", str(tmp_path / "c.yaml")], "test")
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
