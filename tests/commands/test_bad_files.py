"""What users give by mistake to ``generate``, ``cache``, ``render`` and ``convert``: one line, nothing left behind."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from little_shards import MADE_BY, little_folder, little_sample
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from refusal import Refused, refusal

GPU = torch.cuda.is_available()
VAE = Path("vae") / "model.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the commands below are given, good and bad."""
    place = tmp_path_factory.mktemp("place")
    tiny.save_pipeline(place / "toy")
    little_folder(place / "shards", (2,))
    little_folder(place / "songs", (2, 1), audio=True)
    shutil.copytree(place / "songs", place / "rotten")
    shard = place / "rotten" / "00000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:600] + bytes(len(content) - 600))
    with ShardWriter(place / "noise", MADE_BY) as writer:
        sample = little_sample(0, audio=True)
        writer.write(Sample(sample.key, sample.facts, audio=b"fLaC, but no music"))
    (place / "file").write_text("hello")
    (place / "empty").mkdir()
    (place / "pickle.ckpt").write_bytes(pickle.dumps({"state_dict": print}))
    save_file(
        {f"net.{name}": one for name, one in load_file(place / "toy" / VAE).items()}, place / "wrapped.safetensors"
    )
    (place / "no_styles" / "lib" / "stdlib").mkdir(parents=True)
    broken = place / "broken_mma" / "lib" / "stdlib"
    broken.mkdir(parents=True)
    (broken / "waltz.mma").write_text("Time 3\nDefGroove Waltz\n")
    (broken.parents[1] / "mma.py").write_text("raise SystemExit(1)\n")
    (place / "font.sf2").write_bytes(b"RIFF, but no soundfont")
    return place


@pytest.fixture(autouse=True)
def refused(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    return refusal(place, capsys, monkeypatch)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def foreign(path: Path) -> None:
    save_file({"transformer_blocks.0.norm1.weight": torch.zeros(1)}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "expected a safetensors file, got a truncated one"),
        (lambda path: path.write_bytes(b""), "expected a safetensors file, got an empty file"),
        (lambda path: path.write_bytes(pickle.dumps({"a": print})), "expected a safetensors file, got a pickle"),
        (lambda path: torch.save({"a": torch.zeros(1)}, path), "got a zip archive, as torch.save writes it"),
        (foreign, "the file seems to be a diffusers transformer"),
        (lambda path: shutil.copy(path.parents[1] / "text2muq" / path.name, path), "seems to be a musegen flow model"),
        (lambda path: path.unlink(), "expected a safetensors file, got none at broken/vae/model.safetensors"),
        (lambda path: shutil.rmtree(path.parent), "expected text2muq, stable_audio_muq, vae in broken, got no vae"),
        (lambda path: (path.parent / "config.json").write_text("{"), "broken/vae/config.json: expected JSON"),
        (lambda path: (path.parents[1] / "pipeline.json").write_text("[]"), "expected format musegen-pipeline"),
    ],
)
def test_a_broken_model(refused: Refused, damage: Callable[[Path], Any], message: str) -> None:
    shutil.rmtree("broken", ignore_errors=True)
    shutil.copytree("toy", "broken")
    damage(Path("broken") / VAE)
    assert message in refused("generate", "a waltz", "--model", "broken", "--out", "new", "--trust-plugins", "tiny")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "x", "--model", "empty"], "got no text2muq and no stable_audio_muq and no vae"),
        (["generate", "x", "--model", "toy", "--trust-plugins", "tiny", "--out", "file"], "cannot write: File exists"),
        (["generate", "x", "--model", "toy"], "expected a TextEncoder under musegen., got tiny.TinyEncoder"),
        (["generate", "x", "--samples", "many"], "samples: expected int, got many"),
        (["generate", "--prompts", "empty"], "expected a file of prompts, got none: 'empty'"),
        (["cache"], "the following arguments are required: audio, out"),
        (["cache", "nowhere", "new"], "expected a folder of shards, got none: 'nowhere'"),
        (["cache", "empty", "new"], "empty: expected index.json beside the shards, got none"),
        (["cache", "shards", "new"], "shards: expected shards with audio, got shards with caption, embedding, latents"),
        (["cache", "rotten", "unfinished"], "rotten/00000.tar: damaged: "),
        (["cache", "noise", "unfinished"], "sample 'piece-000': expected audio: "),
        (["cache", "songs", "shards"], "shards: cannot go on, its shards were made otherwise"),
        (["cache", "songs", "file"], "cannot write: File exists: 'file'"),
        (["cache", "songs", "new", "--embedder", "ears"], "unknown embedder 'ears'; expected one of "),
        (["cache", "songs", "new", "--embedder", "os.system"], "expected a Embedder under musegen., got os.system"),
        (["cache", "songs", "new", "--embedder", "null"], "expected an embedder, a codec or a text encoder, got none"),
        (["cache", "songs", "new", "--codec", "nowhere"], "expected a model folder with config.json"),
        (["cache", "songs", "new", "--codec", "toy/text2muq"], "expected a OobleckAutoencoder, got musegen.flow.model"),
        (["cache", "songs", "new", "--samples_per_shard", "0"], "samples_per_shard: expected at least 1, got 0"),
        (["cache", "songs", "new", "--device", "toaster"], "device: expected auto, cpu, cuda"),
        (["render"], "the following arguments are required: out"),
        (["render", "new", "--soundfont", "none.sf2"], "expected a soundfont at none.sf2, got none"),
        (["render", "new", "--mma", "empty"], "expected MMA with lib/stdlib in empty, got none"),
        (["render", "new", "--mma", "no_styles"], "expected styles of MMA for train in no_styles/lib/stdlib, got none"),
        (["render", "new", "--mma", "broken_mma", "--songs", "2"], "broken_mma to play some of 2 songs, got none"),
        (["render", "new", "--songs", "0"], "expected songs of 1 or more and seconds of 4 or more, got 0"),
        (["render", "new", "--seconds", "-1"], "expected songs of 1 or more and seconds of 4 or more, got 300 and -1"),
        (["render", "new", "--processes", "0"], "processes: expected 1 or more, got 0"),
        (["render", "new", "--split", "some"], "split: expected one of train, val, unseen"),
        (["render", "shards"], "shards: expected a folder without index.json, got one with shards"),
        (["render", "file"], "cannot write: File exists: 'file'"),
        (["convert", "toy"], "the following arguments are required: out"),
        (["convert", "nowhere", "new"], "got nothing at"),
        (["convert", "toy/vae", "shards"], "out: expected a new or an empty folder, got shards"),
        (["convert", "toy/vae", "file"], "out: expected a new or an empty folder, got file"),
        (["convert", "toy/vae", "file/new"], "cannot write: Not a directory"),
        (["convert", "pickle.ckpt", "new"], "nothing of it was run"),
        (["convert", "wrapped.safetensors", "new"], "wrapped.safetensors: expected weights of stable-audio-tools, or"),
        (["convert", "toy/vae", "new", "--to", "onnx"], "to: expected 'musegen', 'stable-audio-tools' or 'diffusers'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_is_refused(refused: Refused, arguments: list[str], message: str) -> None:
    if arguments[0] == "render":
        pytest.importorskip("tinysoundfont")
    assert message in refused(*arguments)


def test_a_broken_soundfont(refused: Refused) -> None:
    render = ["render", "new", "--songs", "1", "--seconds", "4", "--soundfont", "font.sf2"]
    assert "font.sf2: expected a soundfont (.sf2 or .sf3), got something else" in refused(*render)


@pytest.mark.skipif(GPU, reason="there is a GPU")
def test_a_gpu_that_is_not_there(refused: Refused) -> None:
    assert "device: cuda was asked for" in refused("cache", "songs", "new", "--device", "cuda")


def test_a_full_disk(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    line = refused("cache", "songs", "new", "--embedder", "null", "--codec", "toy/vae")
    assert line == "musegen: cannot write: No space left on device: 'new/00000.tar'"


@pytest.mark.parametrize("arguments", [["generate"], ["fit", "-c", "nowhere.yaml"]])
def test_from_a_shell(arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "musegen.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("musegen: expected ")
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
