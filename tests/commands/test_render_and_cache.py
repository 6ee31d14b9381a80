"""``musegen render`` and ``musegen cache``, as from a shell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import tiny
from little_shards import little_folder
from little_source import Little
from musegen.cli import main
from musegen.commands.render import _samples as render_samples
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


@pytest.mark.timeout(120)
def test_a_renderer_that_is_killed_is_a_line() -> None:
    with pytest.raises(ValueError, match="a process that renders was killed: is there memory for 2 of them"):
        list(render_samples(Little(6, dies=3), 2))


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


def test_a_yaml_file_says_it_all(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "audio": str(songs),
        "out": str(tmp_path / "out"),
        "device": "cpu",
        "embedder": {"class_path": "little_cache.Waves", "init_args": {"revision": "waves-3"}},
        "text": "tiny.TinyEncoder",
        "samples_per_shard": 2,
    }
    config = tmp_path / "cache.yaml"
    config.write_text(yaml.safe_dump(given))
    with pytest.raises(SystemExit) as ended:
        main(["cache", "-c", str(config)])
    assert ended.value.code == 2
    assert "(--trust-plugins little_cache)" in capsys.readouterr().err
    main(["cache", "-c", str(config), "--trust-plugins", "little_cache", "tiny"])
    index = read_index(tmp_path / "out")
    assert index.fields == ("caption", "embedding", "latents", "text")  # the songs had latents already
    assert [shard.samples for shard in index.shards] == [2, 1]
    made_by: Any = index.made_by
    assert made_by["embedding"]["revision"] == "waves-3"
    assert made_by["text"]["revision"] == "tiny-1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--embedder", "null"], "expected an embedder, a codec or a text encoder, got none"),
        (["--text", "word2vec"], "unknown textencoder 'word2vec'; expected one of minilm, t5"),
        (["--devices", "0"], "devices: expected 1 or more, got 0"),
        (["--nodes", "-1"], "nodes: expected 1 or more, got -1"),
        (["--threads", "0"], "threads: expected 1 or more, got 0"),
        (["--batch", "0", "--codec", "CODEC"], "batch: expected 1 or more, got 0"),
        (["--samples_per_shard", "0"], "samples_per_shard: expected at least 1, got 0"),
        (["--out", "SONGS", "--audio", "SONGS"], "expected another folder for the result"),
        (["--audio", "NOWHERE", "--out", "OUT"], "expected a folder of shards, got none"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    tiny.save_pipeline(tmp_path / "model")
    names = {"SONGS": songs, "OUT": tmp_path / "out", "CODEC": tmp_path / "model" / "vae", "NOWHERE": tmp_path / "no"}
    given = [str(names.get(option, option)) for option in options]
    places = [] if "--out" in options else [str(songs), str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        main(["cache", *places, "--device", "cpu", *given])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert said in printed
    assert printed.count("\n") == 1
    assert not (tmp_path / "out").exists()
