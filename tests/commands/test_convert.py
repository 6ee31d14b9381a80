from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from musegen.checkpoints import load_model, read_config, save_model
from musegen.cli import main
from musegen.models.oobleck import OobleckAutoencoder
from musegen.pipeline import TextToMusic


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_model(tiny.vae(), tmp_path / "vae", licences=["CC-BY-4.0"])
    return tmp_path / "vae"


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main(["convert", *map(str, arguments)])
    assert stopped.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_there_and_back_on_the_command_line(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", str(folder), str(tmp_path / "sat"), "--to", "stable-audio-tools"])
    printed = capsys.readouterr()
    assert printed.out.strip() == str(tmp_path / "sat")
    assert "vae: musegen" in printed.err
    assert "OobleckAutoencoder" in printed.err
    assert "CC-BY-4.0" in printed.err
    config = json.loads((tmp_path / "sat" / "model_config.json").read_text())
    assert config["model_type"] == "autoencoder"
    assert config["sample_rate"] == tiny.RATE
    main(["convert", str(tmp_path / "sat" / "model.safetensors"), str(tmp_path / "back"), "--licence", "MIT"])
    one, two = load_file(folder / "model.safetensors"), load_file(tmp_path / "back" / "model.safetensors")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert read_config(tmp_path / "back")["licences"] == ["MIT"]
    assert read_config(tmp_path / "back")["model"] == read_config(folder)["model"]


def test_a_smaller_pipeline_still_plays(tmp_path: Path) -> None:
    tiny.save_pipeline(tmp_path / "pipeline")
    arguments = ["--dtype=float16", "--trust-plugins", "tiny"]
    main(["convert", str(tmp_path / "pipeline"), str(tmp_path / "half"), *arguments])
    sizes = [
        sum(path.stat().st_size for path in tmp_path.glob(f"{name}/*/*.safetensors")) for name in ("pipeline", "half")
    ]
    assert sizes[1] < 0.65 * sizes[0]
    clips = [
        TextToMusic.load(tmp_path / name, "cpu", trust=tiny.TRUST).generate("a word", 3)
        for name in ("pipeline", "half")
    ]
    assert clips[0][0].audio.shape == clips[1][0].audio.shape


def test_wrong_sources_and_places(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert "got nothing at" in refused(capsys, tmp_path / "nowhere", out)
    assert "expected a new or an empty folder" in refused(capsys, folder, folder)
    (tmp_path / "empty").mkdir()
    assert "got a folder with nothing" in refused(capsys, tmp_path / "empty", out)
    (tmp_path / "notes.txt").write_text("hello")
    assert "expected a safetensors file" in refused(capsys, tmp_path / "notes.txt", out)
    assert "xml" in refused(capsys, folder, out, "--to", "xml")
    bare = tmp_path / "vae.safetensors"
    bare.write_bytes((folder / "model.safetensors").read_bytes())
    assert "expected model_config.json beside it, or --config" in refused(capsys, bare, out)
    save_file({"transformer_blocks.0.norm1.weight": torch.zeros(1)}, bare)
    assert "got a diffusers transformer" in refused(capsys, bare, out)
    save_file({"something.weight": torch.zeros(1)}, bare)
    assert "something else (its first tensor is something.weight)" in refused(capsys, bare, out)
    assert not out.exists()
    out.mkdir()
    main(["convert", str(folder), str(out)])  # an empty folder is as good as none
    load_model(out, OobleckAutoencoder)


def test_what_the_other_format_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tiny.stable_audio_muq(), tmp_path / "ours", licences=[])
    said = refused(capsys, tmp_path / "ours", tmp_path / "out", "--to", "stable-audio-tools")
    assert "stable-audio-tools" in said
    said = refused(capsys, tmp_path / "ours", tmp_path / "out", "--to", "diffusers")
    assert "diffusers" in said
    save_model(tiny.text2muq(), tmp_path / "stage1", licences=[])
    trusted = ("--trust_plugins", "tiny")
    said = refused(capsys, tmp_path / "stage1", tmp_path / "out", "--to", "diffusers", *trusted)
    assert "has flow models" in said
    assert not (tmp_path / "out").exists()


def test_a_full_disk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    for to in ("musegen", "stable-audio-tools"):
        assert "No space left on device" in refused(capsys, folder, tmp_path / "out", "--to", to)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["vae"]
