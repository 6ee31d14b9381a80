"""The whole chain, very short: songs with true captions to a clip, by the commands and configurations that ship."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile

from musegen.cli import main
from renderer import need_renderer

EXPERIMENTS = Path(__file__).parents[1] / "configs" / "experiment"


def fit(name: str, folders: str, tmp_path: Path, *more: str) -> Path:
    splits = [f"--data.init_args.{split}=[{tmp_path}/{folders}/{split}]" for split in ("train", "val")]
    quick = [
        "--trainer.max_steps=3", "--trainer.val_check_interval=1", "--trainer.limit_val_batches=2",
        "--trainer.enable_progress_bar=false", "--data.init_args.num_workers=0", "--data.init_args.batch_size=2",
        f"--trainer.logger.init_args.save_dir={tmp_path}/runs", "--trainer.logger.init_args.version=0",
    ]  # fmt: skip
    config = EXPERIMENTS / f"small_{name}.yaml"
    main(["fit", "-c", str(config), *splits, *quick, *more])
    checkpoint = tmp_path / "runs" / f"small_{name}" / "version_0" / "checkpoints" / "last.ckpt"
    main(["convert", str(checkpoint), str(tmp_path / "model" / name), "--dtype", "float16"])
    return tmp_path / "model" / name


@pytest.mark.slow
def test_from_styles_to_a_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_renderer()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["musegen"])
    for split, songs, seed in (("train", 6, 0), ("val", 4, 1)):
        main(["render", f"audio/{split}", "--songs", str(songs), "--seed", str(seed), "--seconds", "7"])
    codec = fit("vae", "audio", tmp_path, "--data.init_args.samples=8192")
    for split in ("train", "val"):
        main(["cache", f"audio/{split}", f"shards/{split}", "--codec", str(codec)])
    fit("text2muq", "shards", tmp_path)
    fit("stable_audio_muq", "shards", tmp_path, "--data.init_args.frames=32")
    request = ["a slow waltz in D minor", "--steps", "2", "--stage1_steps", "2", "--seconds", "1"]
    main(["generate", *request, "--model", str(tmp_path / "model"), "--out", "clips", "--device", "cpu"])
    (clip,) = (tmp_path / "clips").glob("*.wav")
    audio, rate = soundfile.read(clip)
    assert rate == 44100
    assert audio.shape == (44100, 2)
    described = json.loads(clip.with_suffix(".json").read_text())
    assert "CC0-1.0" in described["licences"]
    shutil.rmtree(tmp_path / "audio")
