"""``musegen pack``, as from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora import put_audio
from musegen.cli import main
from musegen.data.shard_index import read_index
from musegen.data.verify import verify_folder
from refusal import Refused, refusal


@pytest.fixture
def music(tmp_path: Path) -> Path:
    for number in range(6):
        put_audio(tmp_path / "music" / f"artist{number // 2}" / f"{number}.wav", 1.5, 16000, 1, seed=number)
        (tmp_path / "music" / f"artist{number // 2}" / f"{number}.txt").write_text(f"tune {number}")
    (tmp_path / "music" / "broken.mp3").write_bytes(b"")
    (tmp_path / "music" / "broken.txt").write_text("broken")
    return tmp_path / "music"


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    return refusal(tmp_path, capsys, monkeypatch)


def test_a_folder_becomes_shards(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["pack", "folder", str(out), "--options.folder", str(music), "--options.licence", "CC0-1.0"]
    arguments += ["--val", "0.4", "--test", "0.2", "--seed", "3"]
    main(arguments)
    said = capsys.readouterr().out
    assert "kept 6 (0.00 h): train " in said
    assert "licences: CC0-1.0 6" in said
    assert "skipped 1, audio file is empty: broken.mp3" in said
    assert "band-limited 6 of 6: nothing above 8.0 kHz; all files: 16000 Hz 6. What is " in said
    assert "noted 6, mono: artist0/0.wav; artist0/1.wav; " in said
    report = json.loads((out / "report.json").read_text())
    assert [len(report["noted"][note]) for note in ("mono", "resampled from 16000 Hz")] == [6, 6]
    indexes = [read_index(out / split) for split in ("train", "val", "test")]
    assert sum(index.samples for index in indexes) == 6
    assert indexes[0].made_by["source"]["init_args"]["folder"] == "music"
    assert all(verify_folder(out / split).problems == [] for split in ("train", "val", "test"))
    main(arguments)
    assert "kept 0 (0.00 h): train 0, val 0, test 0; 6 were there already" in capsys.readouterr().out


def test_a_split_that_got_nothing_is_named(music: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pack", "folder", str(tmp_path / "out"), "--options.folder", str(music), "--val", "0.001", "--test", "0"])
    said = capsys.readouterr().out
    assert "val 0, test 0" in said
    assert "nothing is held out for val: a larger --val, or another --seed, holds out some" in said
    assert "held out for test" not in said


def test_a_source_may_be_a_file_or_a_recipe(music: Path, tmp_path: Path) -> None:
    recipe = {"class_path": "musegen.data.sources.folder.Folder", "init_args": {"folder": str(music)}}
    file = tmp_path / "mine.yaml"
    file.write_text(json.dumps(recipe))
    only = ["--split", "train", "--val", "0", "--test", "0"]
    main(["pack", str(file), str(tmp_path / "one"), *only, "--options.min_seconds", "1.2"])
    main(["pack", json.dumps(recipe), str(tmp_path / "two"), *only, "--options.min_seconds", "1.2"])
    main(["pack", recipe["class_path"], str(tmp_path / "three"), *only, f"--options={json.dumps(recipe['init_args'])}"])
    one, two, three = (read_index(tmp_path / name / "train") for name in ("one", "two", "three"))
    assert one == two
    assert [shard.sha256 for shard in one.shards] == [shard.sha256 for shard in three.shards]
    assert not (tmp_path / "one" / "val").exists()


def test_mistakes_are_one_line(music: Path, refused: Refused, tmp_path: Path) -> None:
    assert "unknown source 'nothing'; expected one of folder, music4all, musicbench" in refused("pack", "nothing", "o")
    assert "Folder needs folder" in refused("pack", "folder", "o")
    assert "Folder has no argument fodler" in refused("pack", "folder", "o", "--options.fodler", "x")
    assert "nowhere" in refused("pack", "folder", "o", "--options.folder", "nowhere")
    assert "processes: expected 1 or more" in refused("pack", "folder", "o", "--processes", "0")
    assert "together at most 1" in refused("pack", "folder", "o", "--val", "2", "--options.folder", music)
    assert "no.yaml" in refused("pack", "no.yaml", "o")
    assert "split: expected 'train', 'val', 'test'" in refused("pack", "folder", "o", "--split", "dev")
    (tmp_path / "bad.yaml").write_text("- 1")
    assert "expected class_path and init_args, got list" in refused("pack", "bad.yaml", "o")
    (tmp_path / "bad.yaml").write_text("a: [")
    assert "expected YAML, got bad.yaml" in refused("pack", "bad.yaml", "o")
