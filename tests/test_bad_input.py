"""What users get wrong in training and predicting: one line, exit status 2, nothing half-written.

What is wrong with a clip's options is in ``commands/test_generate.py``, with models, shards and audio that the other
commands are given in ``commands/test_bad_files.py``.
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import resource
import shutil
import sys
import tempfile
from argparse import ArgumentError
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny
from little_shards import little_folder
from musegen.callbacks.ema import WeightAveraging
from musegen.cli import main
from musegen.data.module import ShardData
from musegen.data.shard_writer import ShardWriter
from refusal import Refused, refusal
from runs import CPU, config, spec, stage_1, stage_2

GPU = torch.cuda.is_available()
TRAINER = {**CPU, "max_steps": 1, "enable_checkpointing": False, "num_sanity_val_steps": 0}
REMOVED = object()
Edits = dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the commands below are given, good and bad."""
    place = tmp_path_factory.mktemp("place")
    little_folder(place / "shards", (5, 1, 4))
    little_folder(place / "songs", (2,), audio=True)
    for name in ("cut", "rotten"):
        shutil.copytree(place / "shards", place / name)
    shard = place / "cut" / "00000.tar"
    shard.write_bytes(shard.read_bytes()[:1000])
    shard = place / "rotten" / "00000.tar"
    content = shard.read_bytes()
    shard.write_bytes(content[:600] + bytes(len(content) - 600))
    (place / "file").write_text("hello")
    (place / "empty").mkdir()
    (place / "syntax.yaml").write_text("trainer:\n  devices: {1\nmodel: 2\n")
    (place / "list.yaml").write_text("- trainer\n- model\n")
    (place / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (place / "loop.yaml").write_text("parts: [loop.yaml]\n")
    (place / "no_part.yaml").write_text("parts: [nowhere.yaml]\n")
    (place / "config.yaml").touch()
    (place / "junk.ckpt").write_bytes(b"hello" * 100)
    (place / "pickle.ckpt").write_bytes(pickle.dumps({"state_dict": print}))
    torch.save({"layer.weight": torch.zeros(3)}, place / "weights.ckpt")
    tiny.save_model(tiny.vae(), place / "vae", licences=[])
    return place


@pytest.fixture(autouse=True)
def refused(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    return refusal(place, capsys, monkeypatch)


def yaml(edits: Edits | None = None, **sections: Any) -> str:
    """The YAML of a run that works, but for some keys."""
    data = spec("musegen.data.module.ShardData", train=["shards"], val=["shards"], batch_size=4)
    settings = copy.deepcopy({"trainer": TRAINER, "model": stage_1(), "data": data, **sections})
    for key, value in (edits or {}).items():
        *above, last = key.replace("model.", "model.init_args.").replace("data.", "data.init_args.").split(".")
        inner: Any = settings
        for name in above:
            inner = inner[name]
        if value is REMOVED:
            del inner[last]
        else:
            inner[last] = value
    return config(Path("config.yaml"), **settings)


def test_the_run_itself_works() -> None:
    main(["fit", "-c", yaml()])


def test_more_workers_than_shards_are_no_mistake() -> None:
    main(["fit", "-c", yaml({"data.num_workers": 4, "trainer.limit_val_batches": 0})])


CLASS = {"class_path": "musegen.models.oobleck.OobleckAutoencoder"}
NETWORK = "musegen.models.embedding_transformer"


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        # what the YAML names
        ({"model": REMOVED}, "the following arguments are required: fit.model"),
        ({"model.network": REMOVED}, "model: the following arguments are required: network"),
        ({"model": spec("musegen.stages.nope.Nope")}, "model: expected a class's path, got musegen.stages.nope.Nope"),
        ({"model": CLASS}, "model: expected LightningModule, got musegen.models.oobleck.OobleckAutoencoder"),
        ({"model": spec("musegen.stages.flow_stage.FlowStage")}, "FlowStage is abstract"),
        ({"model.network": spec(f"{NETWORK}.Nope")}, "model.init_args.network: expected a class's path, got musegen."),
        ({"model.optimizer": spec("torch.optim.Adamw")}, "model.init_args.optimizer: module 'torch.optim' has no"),
        ({"trainer.callbacks": [spec("musegen.callbacks.ema.Ema")]}, "trainer.callbacks: expected a class's path, got"),
        # misspelt
        ({"modle": {"a": 1}}, "no such option: modle.a (did you mean model?)"),
        ({"trainer.max_stepz": 1}, "no such option: trainer.max_stepz (did you mean trainer.max_steps?)"),
        ({"model.stepz": 1}, "model: no such option: stepz (did you mean steps?)"),
        ({"model.network.init_args.dimm": 8}, "model.init_args.network: no such option: dimm (did you mean dim?)"),
        ({"model.optimizer": spec("torch.optim.AdamW", lrr=1)}, "optimizer: no such option: lrr (did you mean lr?)"),
        ({"data.batchsize": 4}, "data: no such option: batchsize (did you mean batch_size?)"),
        # of a wrong type
        ({"trainer.max_steps": "many"}, "trainer.max_steps: expected int, got many"),
        ({"trainer.precision": "9-bit"}, "'bf16' or null, got 9-bit"),
        ({"trainer.logger": 3}, "trainer.logger: expected Logger, Iterable[Logger], bool or null, got 3"),
        ({"model": 3}, "model: expected LightningModule or null, got 3"),
        ({"model.network.init_args.dim": "wide"}, "model.init_args.network.init_args.dim: expected int, got wide"),
        ({"data.frames": "few"}, "data.init_args.frames: expected int or null, got few"),
        ({"data.on_damage": "cry"}, "data.init_args.on_damage: expected 'stop' or 'skip', got cry"),
        ({"parts": "other.yaml"}, "parts: expected a list of paths, got 'other.yaml'"),
        # out of range, or not fitting each other
        ({"trainer.devices": 0}, "devices=0"),
        ({"trainer.accelerator": "toaster"}, "invalid accelerator name: `accelerator='toaster'`"),
        ({"trainer.callbacks": [spec("musegen.callbacks.ema.EMA", decay=2)]}, "expected an EMA decay in [0, 1), got 2"),
        ({"model.freeze": ["nothing.*"]}, "freeze: no parameter is named like 'nothing.*'"),
        ({"model.network.init_args.heads": 5}, "heads: expected a divisor of dim 32, got 5"),
        ({"model.network.init_args.embedding_dim": 16}, "embedding: expected 16 numbers as the network has, got 8"),
        ({"model.pretrained": "nowhere"}, "expected a folder or a file of weights, got nothing at nowhere"),
        ({"model.pretrained": "junk.ckpt"}, "junk.ckpt: expected a safetensors file, got something else"),
        # data
        ({"data.train": []}, "expected folders of shards as `train`, got none"),
        ({"data.train": ["nowhere"]}, "expected a folder of shards, got none: 'nowhere'"),
        ({"data.train": ["nowhere*"]}, "train: expected folders like nowhere*, got none"),
        ({"data.val": ["empty"]}, "empty: expected index.json beside the shards, got none"),
        ({"data.train": ["cut"]}, "cut/00000.tar: expected 20480 bytes as its index says, got 1000"),
        ({"data.train": ["rotten"]}, "rotten/00000.tar: damaged: "),
        ({"data.fields": ["audio"], "data.samples": 9}, "shards: expected shards with audio, got shards with caption"),
        ({"data.fields": ["audio"]}, "samples: expected the length of audio in a batch, got none"),
        ({"data.requires": {"embedding": {"revision": "2"}}}, "`requires`: embedding.revision is '1', not '2'"),
        ({"data.batch_size": 11}, "train: expected at least 11 samples (1 processes with batches of 11), got 10"),
        ({"data.batch_size": 0}, "batch_size: expected 1 or more, got 0"),
        ({"data.num_workers": -1}, "num_workers: expected 0 or more, got -1"),
        ({"data": spec("musegen.data.prompts.PromptData", prompts="file")}, "expected shards to fit with, got prompts"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_run_is_refused(refused: Refused, edits: Edits, message: str) -> None:
    assert message in refused("fit", "-c", yaml(edits))


@pytest.mark.skipif(GPU, reason="there is a GPU")
@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_not_there(refused: Refused, accelerator: str) -> None:
    line = refused("fit", "-c", yaml({"trainer.accelerator": accelerator}))
    assert f"trainer.accelerator: {accelerator} was asked for" in line


def test_a_logger_makes_no_folder_for_a_run_that_cannot_begin(refused: Refused) -> None:
    logger = spec("lightning.pytorch.loggers.TensorBoardLogger", save_dir="logs", name="run")
    for key, value in (("data.train", ["cut"]), ("data.val", ["nowhere"]), ("data.batch_size", 11)):
        refused("fit", "-c", yaml({"trainer.logger": logger, key: value}))
    refused("fit", "-c", yaml({"trainer.logger": logger}), "--ckpt_path", "weights.ckpt")
    logger["init_args"]["save_dir"] = "file/logs"
    assert "Not a directory" in refused("fit", "-c", yaml({"trainer.logger": logger}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a configuration, such as musegen fit -c configs/experiment/small_text2muq.yaml, got none"),
        (["-c"], "-c expects the path of a YAML file"),
        (["-c", "nowhere.yaml"], "expected a YAML file after -c, got nowhere.yaml, which does not exist"),
        (["-c", "empty"], "expected a YAML file after -c, got empty"),
        (["-c", "syntax.yaml"], "syntax.yaml, line 3: expected YAML"),
        (["-c", "binary.yaml"], "binary.yaml: expected YAML"),
        (["-c", "list.yaml"], "list.yaml: expected keys such as trainer, model and data, got list"),
        (["-c", "loop.yaml"], "loop.yaml is a part of itself"),
        (["-c", "no_part.yaml"], "nowhere.yaml, which does not exist"),
    ],
)
def test_a_config_is_refused(refused: Refused, arguments: list[str], message: str) -> None:
    assert message in refused("fit", *arguments)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("--trainer.max_stepz", "3", "no such option: trainer.max_stepz (did you mean trainer.max_steps?)"),
        ("--model.init_args.stepz", "3", "model: no such option: stepz (did you mean steps?)"),
        ("--data.init_args.batch_size", "many", "data.init_args.batch_size: expected int, got many"),
        ("--seed_everything", "-4", "-4"),
        ("--ckpt_path", "nowhere.ckpt", "expected a checkpoint of a training run, got no file: 'nowhere.ckpt'"),
        ("--ckpt_path", "junk.ckpt", "junk.ckpt: expected a checkpoint of a training run, got something else"),
        ("--ckpt_path", "pickle.ckpt", "nothing of it was run"),
        ("--ckpt_path", "weights.ckpt", "expected a checkpoint of a training run, got weights alone"),
        ("--ckpt_path", "vae/model.safetensors", "expected a checkpoint of a training run, got "),
    ],
)
def test_an_argument_is_refused(refused: Refused, argument: str, value: str, message: str) -> None:
    assert message in refused("fit", "-c", yaml(), argument, value)


def test_a_checkpoint_of_another_model(refused: Refused, place: Path) -> None:
    main(["fit", "-c", yaml({"trainer.enable_checkpointing": True, "trainer.default_root_dir": "kept"})])
    made = next((place / "kept").rglob("*.ckpt")).relative_to(place)
    for command in ("fit", "validate"):
        line = refused(command, "-c", yaml({"model.network.init_args.dim": 64}), "--ckpt_path", made)
        assert "model.network.position: expected shape [2, 64], got [2, 32]" in line
    line = refused("fit", "-c", yaml({"model.network.init_args.depth": 3}), "--ckpt_path", made)
    assert "missing 15 (model.network.blocks.2." in line
    assert "batch_size 4 as it was, got 2" in refused("fit", "-c", yaml({"data.batch_size": 2}), "--ckpt_path", made)
    cut = place / "cut.ckpt"
    cut.write_bytes(made.read_bytes()[:5000])
    assert "cut.ckpt: expected a checkpoint, got a truncated" in refused("fit", "-c", yaml(), "--ckpt_path", cut)


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_checkpoint_that_only_training_finds(refused: Refused, name: str) -> None:
    assert f"expected a file, got '{name}'" in refused("validate", "-c", yaml(), "--ckpt_path", name)


def test_untrained_weights_are_said(place: Path) -> None:
    with pytest.warns(UserWarning, match="the weights are random"):
        main(["validate", "-c", yaml()])


def predict(**sections: Any) -> str:
    data = spec("musegen.data.prompts.PromptData", **{"prompts": "file", **sections.pop("prompts", {})})
    return yaml(**{"data": data, "trainer": TRAINER, **sections})


def writer(name: str, folder: str) -> dict[str, Any]:
    module = {"EmbeddingWriter": "embedding_writer", "AudioWriter": "audio_writer"}[name]
    return {**TRAINER, "callbacks": [spec(f"musegen.callbacks.{module}.{name}", folder=folder)]}


def test_predictions_are_refused(refused: Refused, place: Path) -> None:
    assert "expected folders of shards as `predict`, got none" in refused("predict", "-c", yaml())
    assert "expected folders of shards as `test`, got none" in refused("test", "-c", yaml())
    assert "expected folders of shards as `val`, got none" in refused("validate", "-c", yaml({"data.val": []}))
    assert "a file of prompts, got none: 'no'" in refused("predict", "-c", predict(prompts={"prompts": "no"}))
    assert "samples: expected 1 or more" in refused("predict", "-c", predict(prompts={"samples": 0}))
    taken = predict(trainer=writer("EmbeddingWriter", "shards"))
    assert "shards: expected a folder without shards, got one with index.json" in refused("predict", "-c", taken)
    blocked = predict(trainer=writer("EmbeddingWriter", "file/out"))
    assert "cannot write: Not a directory: 'file/out'" in refused("predict", "-c", blocked)
    data = spec("musegen.data.module.ShardData", predict=["shards"])
    for codec, folder, message in (
        (None, "heard", "expected `codec`, the folder of the Oobleck VAE that made the latents, got none"),
        ("empty", "heard", "expected a model folder with config.json"),
        ("vae", "file", "cannot write: File exists: 'file'"),
    ):
        stage = stage_2(codec=codec)
        assert message in refused("predict", "-c", yaml(data=data, model=stage, trainer=writer("AudioWriter", folder)))


def test_a_prediction_that_breaks_leaves_no_part_of_a_shard(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = ShardWriter.write, []

    def full(self: ShardWriter, sample: Any) -> None:
        calls.append(sample)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        whole(self, sample)

    monkeypatch.setattr(ShardWriter, "write", full)
    config = predict(prompts={"samples": 3}, trainer=writer("EmbeddingWriter", "new"))
    assert "cannot write: No space left on device" in refused("predict", "-c", config)


def _on_a_full_disk(file: str, log: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    sys.stderr = log.open("w", buffering=1)
    main(["fit", "-c", file])


def test_a_full_disk_leaves_no_part_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, log = tmp_path / "kept", tmp_path / "log"
    checkpoint = spec("lightning.pytorch.callbacks.ModelCheckpoint", dirpath=str(kept))
    file = yaml({"trainer.enable_checkpointing": True, "trainer.callbacks": [checkpoint]})
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    process = multiprocessing.get_context("fork").Process(target=_on_a_full_disk, args=(file, log))
    process.start()
    process.join(60)
    assert process.exitcode == 2
    assert log.read_text().splitlines()[-1] == "musegen: cannot write: File too large"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [log]


def test_an_error_of_its_own_shows_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any, **__: Any) -> None:
        raise TypeError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(ShardData, "check", bug)
        with pytest.raises(TypeError, match="a bug"):
            main(["fit", "-c", yaml()])
    monkeypatch.setattr(WeightAveraging, "__init__", bug)  # what the parser builds, it wraps
    with pytest.raises(ValueError, match="a bug") as raised:
        main(["fit", "-c", yaml({"trainer.callbacks": [spec("musegen.callbacks.ema.EMA")]})])
    assert isinstance(raised.value.__cause__, TypeError)


def test_a_mistake_shows_it_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSEGEN_TRACEBACK", "1")
    with pytest.raises(ValueError, match="expected 20480 bytes"):
        main(["fit", "-c", yaml({"data.train": ["cut"]})])
    with pytest.raises(ArgumentError, match="no such option"):
        main(["fit", "-c", yaml({"trainer.max_stepz": 1})])
