"""The evaluation of the model in the box, very small: every step, begun again in the middle, and a card of it."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from helpers import randomise
from musegen.checkpoints import save_model
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.conditioning.minilm import MiniLM
from musegen.flow.model import FlowModel
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.regression import RegressionModel
from musegen.generation.folder import write_pipeline
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.models.oobleck import OobleckAutoencoder
from relay import Relay
from renderer import need_renderer

ROOT = Path(__file__).parents[1]
SCRIPTS, TRAIN = ROOT / "scripts", ROOT / "data" / "tiny" / "audio"
EVALUATION = [
    "matplotlib.pyplot", "musegen.metrics.codec", "musegen.metrics.evaluation", "musegen.metrics.linear_probes",
    "musegen.metrics.plots", "musegen.metrics.report", "musegen.metrics.spectrograms", "rich.progress",
    "musegen.generation.baseline", "pyloudnorm", "musegen.torchaudio_guard",
]  # fmt: skip
SIZES = {
    "CAPTIONS": "2", "SEEDS": "2", "UNSEEN": "2", "BASELINE": "1", "SONGS": "6", "GIVEN_BACK": "3", "TRAIN": str(TRAIN),
    "SONG_SECONDS": "5", "SECONDS_EACH": "4", "NOTES": "1", "PICTURES": "1", "DRAWS": "1",
    "JOBS": "1", "PROCESSES": "1", "DEVICE": "cpu",
}  # fmt: skip


def transformer(conditioner: CaptionConditioner | EmbeddingConditioner) -> FlowModel:
    width = conditioner.dim
    network = DiffusionTransformer(
        64, frames=86, dim=64, depth=1, heads=1, condition_dim=width, vector_dim=width, kv_heads=1
    )
    return FlowModel(network, Conditioning({"told": conditioner}, ["told"], ["told"]), RectifiedFlow())


def small_pipeline(folder: Path) -> Path:
    """Random weights, but the shapes and encoders of the model in the box; and a transformer that reads the caption."""
    told = Conditioning({"caption": CaptionConditioner(MiniLM())}, ["caption"])
    network = EmbeddingTransformer(dim=64, depth=1, heads=1, embedding_dim=512, embedding_tokens=4, text_dim=384)
    codec = OobleckAutoencoder(channels=4, multiples=[1, 1, 2, 2, 2])
    codec.decoder.layers[-1].weight_g.data.mul_(0.05)  # type: ignore[union-attr]
    models = {
        "model/text2muq": FlowModel(network, told, RectifiedFlow(), normalise_output=True),
        "model/regression": RegressionModel(network, told, normalise_output=True),
        "model/stable_audio_muq": transformer(EmbeddingConditioner(512, tokens=2, dim=32)),
        "model/vae": codec,
        "one_stage": transformer(CaptionConditioner(MiniLM())),
    }
    for name, model in models.items():
        if name != "model/vae":
            randomise(model.network)  # type: ignore[arg-type]
        save_model(model, folder / name, licences=["CC0-1.0"], dtype=torch.float16)
    sampling = {"sampler": "midpoint", "steps": 1, "guidance": 2.0}
    write_pipeline(folder / "model", sampling, sampling, variable_length=True)
    return folder


@pytest.mark.slow
def test_every_step(tmp_path: Path) -> None:
    need_renderer()
    small_pipeline(tmp_path)
    out = tmp_path / "out"
    with Relay(tmp_path, EVALUATION) as relay:

        def run(script: str, *arguments: str) -> str:
            log = tmp_path / "log"
            environment = {
                **SIZES, "OUT": str(out), "MODEL": str(tmp_path / "model"), "ONE_STAGE": str(tmp_path / "one_stage"),
                "PYTHON": str(relay.path), "MUSEGEN": f"{relay.path} musegen", "RELAY_LOG": str(log),
            }  # fmt: skip
            done = subprocess.run(
                [*script.split(), *arguments], cwd=tmp_path, env={**os.environ, **environment}, text=True, check=False,
                capture_output=True, timeout=200,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr + log.read_text()[-4000:]
            return done.stdout

        said = run(str(SCRIPTS / "evaluate_default.sh"))
        assert "with all sizes as at the top of this script it would take" in said
        (out / "notes" / "evaluation.json").unlink()
        clip = sorted((out / "clips" / "known").glob("*.flac"))[0]
        before = clip.stat().st_mtime_ns
        again = run(str(SCRIPTS / "evaluate_default.sh"))
        assert again.count(": there") == said.count("\n") - 2
        assert clip.stat().st_mtime_ns == before
        run(f"{relay.path} {SCRIPTS}/model_card.py", "--model", str(tmp_path / "model"), "--evaluation", str(out),
            "--facts", str(SCRIPTS / "model_card.yaml"), "--data", str(TRAIN))  # fmt: skip
    with open(out / "times.csv") as file:
        times = list(csv.reader(file))
    assert all(len(line) == 5 and float(line[1]) >= 0 for line in times)
    names = {"known": 1, "unseen": 1, "distances": 2, "regression": 2, "one_stage": 2, "notes": 1}
    for name, folders in names.items():
        judged = json.loads((out / name / "evaluation.json").read_text(encoding="utf-8"))["judged"]
        assert len(judged) == folders, name
        assert any(figure.get("ours") for figure in judged[-1]["figures"]), name
    known = json.loads((out / "known" / "evaluation.json").read_text(encoding="utf-8"))
    assert known["judged"][0]["clips"] == 4
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "| flow | regression |" in card
    assert "| two stages | one stage |" in card
    assert (tmp_path / "model" / "pictures" / "spectrograms.png").is_file()
    assert card.count("**Missing:**") == 3  # recordings, the ablation, curves
