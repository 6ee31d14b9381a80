"""``musegen render`` and ``musegen cache``, as from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from little_shards import little_folder
from musegen.cli import main
from musegen.data.random_access import ShardFolder
from musegen.data.shard_index import read_index
from musegen.data.verify import verify_folder
from renderer import need_renderer


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    little_folder(tmp_path / "songs", (2, 1), audio=True)
    return tmp_path / "songs"


def test_songs_do_not_depend_on_the_number_of_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    need_renderer()
    for processes in ("1", "2"):
        main(
            [
                "render",
                str(tmp_path / processes),
                "--songs",
                "3",
                "--seed",
                "5",
                "--seconds",
                "4",
                "--processes",
                processes,
            ]
        )
    printed = capsys.readouterr()
    assert "3 songs in" in printed.out
    assert "rendering" in printed.err
    one, two = (read_index(tmp_path / processes) for processes in ("1", "2"))
    assert one == two
    assert one.licences == ("CC0-1.0",)
    assert one.fields == ("audio", "caption")
    assert verify_folder(tmp_path / "1").problems == []
    sample = ShardFolder(tmp_path / "1", ["audio"])[0]
    assert {"tempo", "key", "mode", "metre", "style", "grooves", "instruments", "soundfont"} <= set(sample.facts)
    assert str(sample.facts["tempo"]) in sample.captions[0]


def test_embeddings_and_latents_of_a_folder(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.save_pipeline(tmp_path / "model")
    arguments = ["cache", str(songs), str(tmp_path / "out"), "--codec", str(tmp_path / "model" / "vae")]
    main([*arguments, "--device", "cpu"])
    assert "3 encoded, 0 were there already" in capsys.readouterr().out
    main([*arguments, "--device", "cpu"])
    assert "0 encoded, 3 were there already" in capsys.readouterr().out
    index = read_index(tmp_path / "out")
    assert index.made_by["embedding"]["revision"] == "spectral-2"
    assert len(index.made_by["latents"]["weights"]) >= 16
    assert index.licences == ("Apache-2.0 AND CC-BY-4.0 AND CC0-1.0", "Apache-2.0 AND CC0-1.0")
    assert verify_folder(tmp_path / "out").problems == []


def test_an_embedder_may_be_a_recipe(songs: Path, tmp_path: Path) -> None:
    recipe = {"class_path": "musegen.conditioning.spectral.SpectralEmbedder", "init_args": {"version": 1}}
    main(["cache", str(songs), str(tmp_path / "out"), "--embedder", json.dumps(recipe), "--device", "cpu"])
    made_by: Any = read_index(tmp_path / "out").made_by
    assert made_by["embedding"] == {**recipe, "revision": "spectral-1"}
