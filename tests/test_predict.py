"""``musegen predict``: prompts to embeddings in shards, and those to audio, on one process and on two."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from little_shards import little_folder
from musegen.audio import read_audio
from musegen.checkpoints import save_model
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.flow.execution.eager import Eager
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.model import FlowModel
from musegen.flow.samplers.heun import Heun
from musegen.recipes import build
from runs import CPU, config, forked, spec, stage_1, stage_2

PROMPTS = ["a slow piano", "loud drums", "a choir in the rain", "strings", "a piano and a choir"]
SAMPLES = 2
SHARDS, WRITER = "musegen.data.module.ShardData", "musegen.callbacks.embedding_writer.EmbeddingWriter"
TWO = ("--trainer.devices", "2", "--trainer.strategy", "ddp")
HEUN = ("--model.init_args.sampler", "musegen.flow.samplers.heun.Heun", "--model.init_args.steps", "5")
RECIPES = Path(__file__).parents[1] / "configs"


def trained(stage: dict, fields: list[str], folder: Path) -> Path:
    """A checkpoint with an average in it."""
    little_folder(folder / "train", (16,))
    data = spec(SHARDS, train=[str(folder / "train")], fields=fields, frames=16, batch_size=8)
    keep = spec("lightning.pytorch.callbacks.ModelCheckpoint", dirpath=str(folder), save_last=True)
    trainer = {**CPU, "max_steps": 6, "callbacks": [spec("musegen.callbacks.ema.EMA", decay=0.5), keep]}
    ended = forked("fit", "-c", config(folder / "fit.yaml", model=stage, data=data, trainer=trainer), folder=folder)
    assert ended.status == [0], ended.printed
    return folder / "last.ckpt"


@pytest.fixture(scope="module")
def first_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(stage_1(), ["caption", "embedding"], tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second_stage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(stage_2(), ["embedding", "latents"], tmp_path_factory.mktemp("second"))


def embed(checkpoint: Path, out: Path, *arguments: str, prompts: list[str] = PROMPTS, processes: int = 1) -> Path:
    """Predict with stage 1, in an empty folder that stays empty, under a training run's own recipe."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "prompts.txt").write_text("\n".join(prompts))
    data = spec("musegen.data.prompts.PromptData", prompts=str(out / "prompts.txt"), samples=SAMPLES, batch_size=3)
    callbacks = {"trainer": {"callbacks+": [spec(WRITER, folder=str(out / "shards"), samples_per_shard=4)]}}
    ended = forked(
        "predict", "-c", str(RECIPES / "trainer/cpu.yaml"),
        "-c", config(out / "config.yaml", model=stage_1(), data=data, **callbacks),
        "--ckpt_path", str(checkpoint), "--return_predictions", "false", *arguments,
        folder=out / "cwd", processes=processes,
    )  # fmt: skip
    assert ended.status == [0] * processes, ended.printed
    assert f"embeddings are in {out / 'shards'}" in ended.printed
    assert "Tip: For seamless" not in ended.printed
    assert list((out / "cwd").iterdir()) == []
    return out / "shards"


def contents(folder: Path) -> dict[str, Sample]:
    shards = ShardFolder(folder, ["caption", "embedding"])
    samples = [shards[position] for position in range(len(shards))]
    assert len({sample.key for sample in samples}) == len(samples)
    return {sample.key: sample for sample in samples}


@pytest.fixture(scope="module")
def embeddings(first_stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return embed(first_stage, tmp_path_factory.mktemp("embeddings"), *HEUN)


def test_every_prompt_and_seed_comes_once(embeddings: Path) -> None:
    samples = contents(embeddings)
    assert [(s.captions, s.facts["seed"]) for s in samples.values()] == [
        ([prompt], seed) for prompt in PROMPTS for seed in range(SAMPLES)
    ]
    assert {s.facts["licence"] for s in samples.values()} == {"CC-BY-4.0 AND CC0-1.0"}
    vectors = np.concatenate([s.embedding for s in samples.values() if s.embedding is not None])
    assert vectors.std(axis=0).mean() > 0.05


def test_two_processes_predict_the_same_bits(embeddings: Path, first_stage: Path, tmp_path: Path) -> None:
    one, two = contents(embeddings), contents(embed(first_stage, tmp_path, *HEUN, *TWO, processes=2))
    assert {path.name.partition("-")[0] for path in (tmp_path / "shards").glob("*.tar")} == {"rank0000", "rank0001"}
    assert one.keys() == two.keys()
    for key, sample in one.items():
        assert sample.facts == two[key].facts
        assert np.array_equal(sample.embedding, two[key].embedding)  # type: ignore[arg-type]


def test_the_command_line_chooses_how_a_checkpoint_is_sampled(
    embeddings: Path, first_stage: Path, tmp_path: Path
) -> None:
    content = torch.load(first_stage, weights_only=True)
    model = build(content["musegen"]["model"], FlowModel, trust=tiny.TRUST)
    model.load_state_dict({name.removeprefix("model."): value for name, value in content["state_dict"].items()})
    samples = contents(embeddings)
    condition = model.eval().condition({"caption": [s.captions[0] for s in samples.values()]}, one_by_one=True)
    seeds = [s.facts["seed"] for s in samples.values()]
    expected = model.sample(condition, seeds, sampler=Heun(), steps=5, guidance=ClassifierFree(), execution=Eager())
    written = np.concatenate([s.embedding for s in samples.values() if s.embedding is not None])
    assert np.array_equal(written, expected.numpy())
    other = contents(embed(first_stage, tmp_path, *HEUN[:3], "2"))
    fewer = np.concatenate([s.embedding for s in other.values() if s.embedding is not None])
    assert not np.allclose(written, fewer, atol=1e-3)


def test_the_command_line_chooses_how_the_network_is_run(embeddings: Path, first_stage: Path, tmp_path: Path) -> None:
    execution, one = "--model.init_args.execution", "musegen.flow.execution"
    graph = contents(embed(first_stage, tmp_path / "graph", *HEUN, execution, f"{one}.graph.Graph"))
    whole = ("--model.init_args.execution.skip_null", "false")
    plain = contents(embed(first_stage, tmp_path / "plain", *HEUN, execution, f"{one}.eager.Eager", *whole))
    for key, sample in contents(embeddings).items():
        assert np.array_equal(graph[key].embedding, sample.embedding)  # type: ignore[arg-type]
        assert np.allclose(plain[key].embedding, sample.embedding, atol=1e-4)  # type: ignore[arg-type]
    assert any(not np.array_equal(plain[key].embedding, graph[key].embedding) for key in plain)  # type: ignore[arg-type]


def test_a_process_may_have_nothing_to_predict(first_stage: Path, tmp_path: Path) -> None:
    folder = embed(first_stage, tmp_path, *TWO, "--data.init_args.samples", "1", prompts=["one"], processes=2)
    assert [sample.captions for sample in contents(folder).values()] == [["one"]]


def hear(checkpoint: Path, embeddings: Path, out: Path, *arguments: str, processes: int = 1) -> Path:
    """Predict with stage 2, with the logger that Lightning takes where none is configured."""
    save_model(tiny.vae(), out / "vae", licences=["CC0-1.0"])
    data = spec(SHARDS, predict=[str(embeddings)], fields=["caption", "embedding"], batch_size=4)
    writer = spec("musegen.callbacks.audio_writer.AudioWriter", folder=str(out / "audio"), format="flac")
    trainer = {**CPU, "logger": None, "callbacks": [writer]}
    yaml = config(out / "config.yaml", model=stage_2(codec=str(out / "vae")), data=data, trainer=trainer)
    ended = forked(
        "predict", "-c", yaml, "--ckpt_path", str(checkpoint), "--return_predictions", "false", *arguments,
        folder=out / "cwd", processes=processes,
    )  # fmt: skip
    assert ended.status == [0] * processes, ended.printed
    assert list((out / "cwd").iterdir()) == []
    assert f"audio is in {out}" in ended.printed
    return out / "audio"


def test_embeddings_become_audio_keyed_by_item(embeddings: Path, second_stage: Path, tmp_path: Path) -> None:
    one = hear(second_stage, embeddings, tmp_path / "one")
    two = hear(second_stage, embeddings, tmp_path / "two", *TWO, processes=2)
    samples = contents(embeddings)
    names = sorted(f"{key}.{kind}" for key in samples for kind in ("flac", "json"))
    assert sorted(path.name for path in one.iterdir()) == names
    assert sorted(path.name for path in two.iterdir()) == names
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    heard = []
    for key, sample in samples.items():
        described = json.loads((one / f"{key}.json").read_text())
        assert (described["key"], described["caption"]) == (key, sample.captions[0])
        assert described["seed"] == sample.facts["seed"]
        audio, rate = read_audio(one / f"{key}.flac")
        assert (list(audio.shape), rate) == ([2, 16 * 256], tiny.RATE)
        heard.append(audio)
    assert torch.stack(heard).std(0).mean() > 1e-4
    fewer = hear(second_stage, embeddings, tmp_path / "fewer", "--model.init_args.steps", "1")
    assert (fewer / names[0]).read_bytes() != (one / names[0]).read_bytes()
