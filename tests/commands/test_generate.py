"""The command, as a user meets it: the files it writes, and one line for whatever is wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch

import tiny
from musegen.audio import read_audio
from musegen.cli import main
from musegen.commands.generate import generate
from musegen.fingerprint import hash_bytes, hash_tensor
from musegen.generation.chain import Chain
from musegen.generation.packing import unpack
from musegen.pipeline import TextToMusic

PROMPT = "a slow sad piano ballad"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.save_pipeline(tmp_path_factory.mktemp("models") / "toy"))


def run(*arguments: str | Path) -> None:
    main(["generate", *map(str, arguments)])


def make(model: str, out: Path, *prompt: str, **options: Any) -> list[Path]:
    options = {"seconds": 0.1, "device": "cpu", "trust_plugins": "tiny"} | options
    return generate(list(prompt), model=model, out=out, **options)


def test_a_sentence_becomes_files(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "folder"
    run(
        PROMPT,
        "Fast drums!",
        "--samples",
        "2",
        "--seed",
        "7",
        "--out",
        out,
        "--model",
        model,
        "--trust_plugins",
        "tiny",
    )
    names = [f"{name}_seed{seed}" for name in ("a-slow-sad-piano-ballad", "fast-drums") for seed in (7, 8)]
    printed = capsys.readouterr().out.split()
    assert printed == [str(out / f"{name}.wav") for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}.{end}" for name in names for end in ("json", "wav")
    )
    for name in names:
        audio, rate = read_audio(out / f"{name}.wav")
        assert rate == tiny.RATE
        assert audio.shape == (2, tiny.FRAMES * 256)
        assert audio.std() > 0.1
        assert audio.abs().max() <= 1
        assert soundfile.info(out / f"{name}.wav").subtype == "PCM_16"


def test_the_json_says_all_of_the_clip(model: str, tmp_path: Path) -> None:
    path = make(model, tmp_path, PROMPT, seed=3, format="flac", negative="noise", steps=3, sampler="dpmpp-2m")[0]
    described = json.loads(path.with_suffix(".json").read_text())
    assert described["prompt"] == PROMPT
    assert described["seed"] == 3
    assert described["model"] == model
    assert described["file"] == path.name
    assert described["file_sha256"] == hash_bytes(path.read_bytes())
    assert described["licences"] == ["Apache-2.0", "CC-BY-4.0", "CC0-1.0"]
    assert described["settings"]["negative"] == "noise"
    assert described["settings"]["seconds"] == 0.1
    assert described["settings"]["stable_audio_muq"]["steps"] == 3
    assert described["settings"]["stable_audio_muq"]["sampler"]["class_path"].endswith("dpmpp_2m.DPMSolverPP2M")
    pipeline = TextToMusic.load(model, "cpu", trust=tiny.TRUST)
    clip = pipeline.generate(PROMPT, 3, seconds=0.1, negative="noise", steps=3, sampler="dpmpp_2m")[0]
    assert described["audio_sha256"] == hash_tensor(clip.audio)
    assert described["fingerprint"] == clip.fingerprint
    assert described["gain"] == pytest.approx(1 / max(1.0, float(clip.audio.abs().max())))
    assert torch.equal(unpack(described["embedding"]), clip.embedding)


def test_prompts_come_from_a_file_too(model: str, tmp_path: Path) -> None:
    listed = tmp_path / "prompts.txt"
    listed.write_text(f"first\n\n{PROMPT}\r\nsecond\n", encoding="utf-8")
    paths = make(model, tmp_path / "out", PROMPT, prompts=listed, format="ogg")
    assert [path.name for path in paths] == [
        "a-slow-sad-piano-ballad_seed0.ogg",
        "first_seed0.ogg",
        "second_seed0.ogg",
    ]


def test_a_prompt_of_a_file_begins_with_its_own_seed(model: str, tmp_path: Path) -> None:
    listed = tmp_path / "prompts.jsonl"
    lines = [{"caption": "first", "seed": 7}, {"caption": "second"}, {"caption": "third", "seed": 7}]
    listed.write_text("\n".join(map(json.dumps, lines)))
    paths = make(model, tmp_path / "out", "zeroth", prompts=listed, samples=2, seed=3)
    assert [path.stem for path in paths] == [
        *("zeroth_seed3", "zeroth_seed4", "second_seed3", "second_seed4"),
        *("first_seed7", "first_seed8", "third_seed7", "third_seed8"),
    ]
    alone = make(model, tmp_path / "alone", "third", seed=8)[0]
    assert alone.read_bytes() == paths[-1].read_bytes()
    listed.write_text(json.dumps({"caption": "first", "seed": 2**63 - 1}))
    with pytest.raises(ValueError, match="seed: expected a whole number from 0"):
        make(model, tmp_path / "none", "zeroth", prompts=listed, samples=2)
    assert not (tmp_path / "none").exists()


def test_a_clip_is_made_again_bit_for_bit(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = make(model, tmp_path, PROMPT, seed=4, sampler="pingpong", negative="noise")[0]
    before = first.read_bytes()
    run("--again", first.with_suffix(".json"), "--out", tmp_path, "--trust_plugins", "tiny")
    said = capsys.readouterr()
    again = Path(said.out.split()[-1])
    assert again.name == "a-slow-sad-piano-ballad_seed4_2.wav"
    assert again.read_bytes() == before == first.read_bytes()
    assert said.err == "the same bits\n"


def test_made_again_with_other_weights_it_says_what_differs(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make(model, tmp_path, PROMPT)[0]
    other = tmp_path / "other"
    shutil.copytree(model, other)
    tiny.save_model(tiny.vae(seed=8), other / "vae", licences=["Apache-2.0"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as status:
        run("--again", first.with_suffix(".json"), "--model", other, "--out", tmp_path, "--trust_plugins", "tiny")
    assert status.value.code == 1
    *fields, verdict = capsys.readouterr().err.splitlines()
    assert [field.partition(":")[0] for field in fields] == ["vae.weights"]
    assert verdict == "the bits differ, see vae.weights"


def test_running_again_replaces_nothing_but_the_same(model: str, tmp_path: Path) -> None:
    first = make(model, tmp_path, PROMPT)[0]
    content = first.read_bytes()
    assert make(model, tmp_path, PROMPT)[0] == first
    assert first.read_bytes() == content
    other = make(model, tmp_path, PROMPT, steps=2)[0]
    assert other.name == "a-slow-sad-piano-ballad_seed0_2.wav"
    assert first.read_bytes() == content != other.read_bytes()


def test_what_is_finished_stays_when_interrupted(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, calls = Chain.latents, []

    def interrupted(self: Chain, *arguments: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return whole(self, *arguments)

    monkeypatch.setattr(Chain, "latents", interrupted)
    with pytest.raises(SystemExit) as status:
        run(PROMPT, "--samples", "4", "--out", tmp_path, "--model", model, "--trust_plugins", "tiny")
    assert status.value.code == 130
    printed = capsys.readouterr().out.split()
    assert len(printed) == 2
    assert len(list(tmp_path.iterdir())) == 4
    assert all(soundfile.info(path).frames == tiny.FRAMES * 256 for path in printed)


def test_a_full_disk_is_one_line_and_leaves_nothing(model: str, tmp_path: Path) -> None:
    script = (
        "import resource, sys; from musegen.cli import main; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); main(sys.argv[1:])"
    )
    arguments = ["generate", PROMPT, "--model", model, "--out", str(tmp_path), "--trust_plugins", "tiny"]
    environment = {"PYTHONPATH": str(Path(tiny.__file__).parent), "OMP_NUM_THREADS": "1"}
    # -B: else the limit would also cut short the byte code that Python caches
    done = subprocess.run(
        [sys.executable, "-B", "-c", script, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert "cannot write: File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


HOSTILE = {"class_path": "os.system", "init_args": {"command": "true"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a prompt"),
        ([""], "prompt: expected a few words about the music, got an empty text"),
        (["x" * 20_000], "prompt: expected at most 10000 characters, got 20000"),
        (["x", "--samples", "0"], "samples: expected at least 1, got 0"),
        (["x", "--seed", "-1"], "seed: expected a whole number from 0"),
        (["x", "--seconds", "-3"], "seconds: expected above 0 and at most 0.77"),
        (["x", "--seconds", "600"], "seconds: expected above 0 and at most 0.77"),
        (["x", "--steps", "0"], "steps: expected a whole number from 1"),
        (["x", "--sampler", "hoin"], "unknown sampler 'hoin'; expected one of dopri5, dpmpp_2m"),
        (["x", "--sampler", "os.system"], "sampler: expected a Sampler under musegen., got os.system"),
        (["x", "--sampler", json.dumps(HOSTILE)], "sampler: expected a Sampler under musegen., got os.system"),
        (["x", "--guidance", "strong"], "unknown guidance 'strong'"),
        (["x", "--prompts", "missing.txt"], "expected a file of prompts, got none: 'missing.txt'"),
        (["x", "--format", "mp3"], "wav"),
        (["x", "--format", "ogg", "--bits", "32"], "bits: expected 16 or 24 (or 32 for wav), got 32 for ogg"),
        (["x", "--lane", "0"], "lane"),
        (["x", "--device", "toaster"], "device: expected auto, cpu, cuda"),
        (["x", "--model", "nonesuch"], "model: no folder and no shipped model is called 'nonesuch'"),
        (["--again", "missing.json"], "expected the JSON beside a clip, got none: 'missing.json'"),
        (["--again", "."], "expected the JSON beside a clip, got a folder: '.'"),
        (["x", "--again", "missing.json"], "--again makes one clip from its JSON: expected no prompts"),
        (["--again", "missing.json", "--steps", "9", "--samples", "2"], "expected no --samples or --steps beside it"),
        (["x", "--colour", "blue"], "no such option: colour"),
        (["x", "--out", "file/out"], "cannot write: Not a directory: 'file/out'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("in the way")
    named = arguments if "--model" in arguments else [*arguments, "--model", model]
    with pytest.raises(SystemExit) as status:
        run(*named, "--trust_plugins", "tiny")
    said = capsys.readouterr()
    assert status.value.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert [path.name for path in tmp_path.rglob("*")] == ["file"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        run("x", "--device", "cuda", "--model", model, "--out", tmp_path / "out")
    assert status.value.code == 2
    assert "sees no CUDA GPU here" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_hostile_clip_json_runs_nothing(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(model, tmp_path, PROMPT)[0].with_suffix(".json")
    described = json.loads(path.read_text())
    ran = tmp_path / "ran"
    hostile = {"class_path": "os.system", "init_args": {"command": f"touch {ran}"}}
    for change in (
        {"settings": described["settings"] | {"stable_audio_muq": {"sampler": hostile, "steps": 1, "guidance": 1.0}}},
        {"settings": 3},
        {"seed": "rm"},
        {"seed": -1},
        {"prompt": ["x"]},
        {"model": str(tmp_path)},
        {"settings": described["settings"] | {"text2muq": None}, "embedding": "?"},
        {"settings": described["settings"] | {"lane": [1]}},
        {"fingerprint": {"stable_audio_muq": 1, "threads": -3, "backend": "cpu"}, "settings": {}},
        {"format": "other"},
    ):
        path.write_text(json.dumps(described | change))
        capsys.readouterr()
        with pytest.raises(SystemExit) as status:
            run("--again", path, "--trust_plugins", "tiny", "--out", tmp_path)
        assert status.value.code == 2, change
        assert capsys.readouterr().err.count("\n") == 1, change
    assert not ran.exists()


def test_the_prompts_of_a_binary_file_are_refused(model: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="expected a text file in UTF-8"):
        make(model, tmp_path / "out", prompts=tmp_path / "a")
    (tmp_path / "b").write_text("\n \n")
    with pytest.raises(ValueError, match="expected at least one prompt, got none"):
        make(model, tmp_path / "out", prompts=tmp_path / "b")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from musegen.cli import main\n"
        "try: main(['generate', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'lightning', 'transformers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "--samples" in done.stdout
    assert done.stderr == "[]\n"
