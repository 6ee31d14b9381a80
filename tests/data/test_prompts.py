"""Prompts from files: what each line becomes, and each process its own items."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from musegen.data.prompt_file import Prompt, read_prompts
from musegen.data.prompts import PromptData

HELD_OUT = Path(__file__).parents[2] / "data" / "prompts" / "held_out.txt"


def file_of(folder: Path, name: str, *lines: Any) -> Path:
    path = folder / name
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return path


def test_a_text_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, "prompts.txt", "# slow", "a slow waltz ", "", "ein schneller Walzer für Flöte")
    assert read_prompts(path) == [Prompt("a slow waltz", "00000"), Prompt("ein schneller Walzer für Flöte", "00001")]


def test_json_lines(tmp_path: Path) -> None:
    path = file_of(tmp_path, "p.jsonl", {"caption": "a"}, "", {"caption": "b", "key": "bee", "seed": 7, "tempo": 90})
    assert read_prompts(path) == [Prompt("a", "00000"), Prompt("b", "bee", 7)]


def test_only_the_end_of_a_line_ends_it(tmp_path: Path) -> None:
    caption = "a waltz\u2028of two\x0clines"
    path = tmp_path / "p.jsonl"
    path.write_bytes(json.dumps({"caption": caption}, ensure_ascii=False).encode() + b'\r\n{"caption": "b"}\r\n')
    assert [prompt.caption for prompt in read_prompts(path)] == [caption, "b"]
    (tmp_path / "p.txt").write_bytes(caption.encode() + b"\r\nb\r\n")
    assert [prompt.caption for prompt in read_prompts(tmp_path / "p.txt")] == [caption, "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, 'line 2: expected JSON like {"caption": "…"}'),
        ("a waltz", r'line 2: expected JSON like {"caption": "…"}, got \'a waltz\''),
        ({"text": "a"}, 'line 2: expected JSON like {"caption": "…"}'),
        ({"caption": " "}, 'line 2: expected JSON like {"caption": "…"}'),
        ({"caption": "a", "key": "../a"}, "line 2: expected a key of letters"),
        ({"caption": "a", "key": "one"}, "line 2: expected unique keys, got 'one' again"),
        ({"caption": "a", "seed": -1}, "line 2: expected a seed from 0"),
        ({"caption": "a", "seed": 1.5}, "line 2: expected a seed from 0"),
    ],
)
def test_lines_that_are_no_prompts(tmp_path: Path, line: Any, message: str) -> None:
    path = file_of(tmp_path, "p.jsonl", {"caption": "first", "key": "one"}, line)
    with pytest.raises(ValueError, match=message):
        read_prompts(path)


def test_files_without_prompts(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a file of prompts, got none"):
        read_prompts(tmp_path / "none.txt")
    with pytest.raises(ValueError, match="expected at least one prompt, got none"):
        read_prompts(file_of(tmp_path, "empty.txt", "# nothing", ""))
    (tmp_path / "latin.txt").write_bytes(b"a waltz f\xfcr Fl\xf6te")
    with pytest.raises(ValueError, match="expected a text file in UTF-8"):
        read_prompts(tmp_path / "latin.txt")


def test_each_process_has_its_own_items_and_all_have_each_once(tmp_path: Path) -> None:
    path = file_of(tmp_path, "p.jsonl", *({"caption": f"prompt {n}"} for n in range(3)), {"caption": "x", "seed": 90})
    data = PromptData(str(path), samples=2, seed=5, batch_size=2)
    everything = [f"0000{prompt}-{seed}" for prompt in range(3) for seed in (5, 6)] + ["00003-90", "00003-91"]
    for world in (1, 2, 3, 9):
        found: list[str] = []
        for rank in range(world):
            data.trainer = SimpleNamespace(global_rank=rank, world_size=world)  # type: ignore[assignment]
            batches = data.predict_dataloader()
            read = list(batches)
            assert len(read) == len(batches)
            for batch in read:
                assert batch["seed"].dtype == torch.int64
                assert [key.rpartition("-")[2] for key in batch["key"]] == [
                    str(seed) for seed in batch["seed"].tolist()
                ]
                found += batch["key"]
        assert sorted(found) == everything


def test_one_sample_keeps_the_keys(tmp_path: Path) -> None:
    (batch,) = PromptData(str(file_of(tmp_path, "p.jsonl", {"caption": "a", "key": "bee"}))).predict_dataloader()
    assert batch["key"] == ["bee"]
    assert batch["caption"] == ["a"]
    assert batch["seed"].tolist() == [0]


@pytest.mark.parametrize("argument", ["samples", "batch_size"])
def test_bad_arguments(argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument}: expected 1 or more, got 0"):
        PromptData("p.txt", **{argument: 0})


def test_the_held_out_prompts() -> None:
    prompts = read_prompts(HELD_OUT)
    assert len(prompts) == 200
    assert len({prompt.caption.lower() for prompt in prompts}) == 200
    assert all(3 <= len(prompt.caption.split()) <= 40 for prompt in prompts)
