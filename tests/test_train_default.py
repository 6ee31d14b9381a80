"""The model in the box, very small: every phase of its training, from nothing to a clip."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import soundfile

from musegen.generation.folder import read_embedder
from relay import Relay
from renderer import need_renderer

SCRIPT = Path(__file__).parents[1] / "scripts" / "train_default.sh"
QUICK = {
    "trainer.accelerator": "cpu", "trainer.precision": "32-true", "trainer.val_check_interval": 1,
    "trainer.limit_val_batches": 1, "trainer.num_sanity_val_steps": 0, "trainer.enable_progress_bar": "false",
    "trainer.enable_model_summary": "false", "trainer.log_every_n_steps": 1, "trainer.max_steps": 2,
    "data.init_args.num_workers": 0, "data.init_args.batch_size": 2,
}  # fmt: skip
CODEC = {
    "data.init_args.samples": 8192, "model.init_args.autoencoder.init_args.channels": 4,
    "model.init_args.autoencoder.init_args.multiples": "[1,1,2,2,2]",
    "model.init_args.reconstruction.init_args.sizes": "[256,64]",
    "model.init_args.reconstruction.init_args.compile": "false",
}  # fmt: skip
DISCRIMINATOR = "model.init_args.discriminator.init_args"
ADVERSARIAL = {
    "model.init_args.adversarial_from_step": 0, f"{DISCRIMINATOR}.channels": 4, f"{DISCRIMINATOR}.sizes": "[256,64]"
}  # fmt: skip
EMBEDDER = "model.init_args.embedder.init_args"
JOINT = {
    "data.init_args.samples": 132300, f"{EMBEDDER}.seconds": 3, f"{EMBEDDER}.channels": 8, f"{EMBEDDER}.depth": 1,
    f"{EMBEDDER}.text_width": 32,
}  # fmt: skip
NETWORK = "model.init_args.network.init_args"
STAGE_1 = {f"{NETWORK}.dim": 32, f"{NETWORK}.heads": 2, f"{NETWORK}.depth": 1}
STAGE_2 = {
    f"{NETWORK}.dim": 128, f"{NETWORK}.heads": 2, f"{NETWORK}.kv_heads": 2, f"{NETWORK}.depth": 1,
    f"{NETWORK}.frames": 64,
    "data.init_args.frames": 64, "model.init_args.cut_to": "[64,32]", "model.init_args.compile": "false",
}  # fmt: skip


FEW = {"model.init_args.teacher_steps": 2, "model.init_args.few": "[1,2]", "model.init_args.pairs": 2}


def flags(*given: Mapping[str, object]) -> str:
    return " ".join(f"--{name} {value}" for some in given for name, value in some.items())


@pytest.mark.slow
def test_every_phase(tmp_path: Path) -> None:
    need_renderer()
    out = tmp_path / "out"
    with Relay(tmp_path) as relay:

        def run(*phases: str, **more: str) -> str:
            log = tmp_path / "log"
            environment = {
                "OUT": str(out), "SONGS": "4", "HELD_OUT": "3", "SECONDS_EACH": "5", "PROCESSES": "1", "DEVICE": "cpu",
                "PYTHON": str(relay.path), "MUSEGEN": f"{relay.path} musegen", "RELAY_LOG": str(log),
                "FLAGS": flags(QUICK), "FLAGS_VAE": flags(CODEC), "FLAGS_VAE_ADVERSARIAL": flags(CODEC, ADVERSARIAL),
                "FLAGS_JOINT": flags(JOINT), "FLAGS_TEXT2MUQ": flags(STAGE_1), "FLAGS_REGRESSION": flags(STAGE_1),
                "FLAGS_STABLE_AUDIO_MUQ": flags(STAGE_2),
                "FLAGS_ONE_STAGE": flags(STAGE_2), "FLAGS_STABLE_AUDIO_MUQ_DISTILLED": flags(STAGE_2, FEW),
                "FLAGS_SMOKE": "--seconds 1 --steps 2 --stage1_steps 2",
                "FLAGS_ABLATION": "--steps 2 --batch 2 --dim 64 --depth 1 --draws 2 --only [1]",
            }  # fmt: skip
            done = subprocess.run(
                [SCRIPT, *phases], cwd=tmp_path, env={**os.environ, **environment, **more}, text=True, check=False,
                capture_output=True, timeout=150,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-4000:]
            return log.read_text()

        run("render", "vae", "vae_adversarial", "joint")
        assert "pretrained weights from" in run("vae", STEPS_VAE="3")
        assert (out / "curves" / "vae_1.csv").is_file()
        assert any((out / "decoded").rglob("*.wav"))
        run("render", SEED="1", SONGS="2")
        run("cache", "ablation", "text2muq", "regression", "stable_audio_muq", "one_stage", "distilled")
        run("assemble", "smoke")
    folders = sorted(folder.name for folder in (out / "shards").iterdir())
    assert folders == ["train-0", "train-1", "unseen", "val"]
    with open(out / "curves" / "stable_audio_muq_0.csv") as file:
        names = {row["name"] for row in csv.DictReader(file)}
    assert {"train/loss", "val/loss", "val/floor", "lr-AdamW/pg1"} <= names
    assert json.loads((out / "ablation" / "stage1.json").read_text())["rows"][0]["tokens"] == 1
    assert read_embedder(out / "model") == {
        "class_path": "musegen.conditioning.joint.Joint", "init_args": {"model": str(out / "model" / "joint")}
    }  # fmt: skip
    quick = json.loads((out / "model_fast" / "pipeline.json").read_text())["stable_audio_muq"]
    assert quick == {"sampler": "jump", "steps": 4, "guidance": 1.0}
    assert "Jumping" in (out / "model_fast" / "stable_audio_muq" / "config.json").read_text()
    assert "caption" in (out / "one_stage" / "config.json").read_text()
    (clip,) = (out / "clips").glob("*.wav")
    audio, rate = soundfile.read(clip)
    assert rate == 44100
    assert audio.shape == (44100, 2)
    licences = json.loads(clip.with_suffix(".json").read_text())["licences"]
    assert set(licences) == {"Apache-2.0", "CC0-1.0", "Apache-2.0 AND CC0-1.0"}


def test_it_names_a_phase_that_it_does_not_know(tmp_path: Path) -> None:
    done = subprocess.run([SCRIPT, "bake"], cwd=tmp_path, text=True, check=False, capture_output=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("got bake")
