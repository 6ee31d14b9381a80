from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from helpers import randomise
from musegen.callbacks.ema import EMA
from musegen.checkpoints import load_model, read_config
from musegen.commands.convert import convert
from musegen.models.oobleck import OobleckAutoencoder
from musegen.stages.export import export_entry


class Stage(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = OobleckAutoencoder(channels=4, multiples=[1], strides=[2], latent_channels=2)
        randomise(self.model)
        self.other = torch.nn.Linear(1, 1)  # what an export leaves

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.model.decode(self.model.encode(batch).mean).square().mean() + 0 * self.other.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["musegen"] = export_entry(self.model, ["CC-BY-4.0", "MIT"])


def train(folder: Path, average: bool) -> tuple[Path, Stage]:
    """Train three steps; when training ends, the averaged weights become the model's, so it is saved before."""
    stage, ema = Stage(), EMA(decay=0.5, warm_up=1.0) if average else None
    trainer = L.Trainer(
        max_steps=3,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=1), *([ema] if ema else [])],
        default_root_dir=folder,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(stage, DataLoader(list(torch.randn(3, 2, 2, 16)), batch_size=None))  # type: ignore[arg-type]
    return folder / "last.ckpt", stage


def test_averaged_and_raw_weights(tmp_path: Path) -> None:
    checkpoint, _ = train(tmp_path, average=True)
    stored = torch.load(checkpoint, weights_only=True)
    for which, key in (("ema", "state_dict"), ("raw", "current_model_state")):
        out = convert(checkpoint, tmp_path / which, weights=which)  # type: ignore[arg-type]
        model = load_model(out, OobleckAutoencoder)
        expected = {name.removeprefix("model."): one for name, one in stored[key].items() if name.startswith("model.")}
        assert model.state_dict().keys() == expected.keys()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
        config = read_config(out)
        assert config["licences"] == ["CC-BY-4.0", "MIT"]
        assert config["training"] == {"format": "lightning", "weights": which, "epoch": 0, "global_step": 3}
    one, two = (load_model(tmp_path / which, OobleckAutoencoder).encoder.layers[0] for which in ("ema", "raw"))
    assert (one.weight_v - two.weight_v).abs().max() > 1e-3  # type: ignore[operator]


def test_a_checkpoint_without_averages_is_raw(tmp_path: Path) -> None:
    checkpoint, stage = train(tmp_path, average=False)
    model = load_model(convert(checkpoint, tmp_path / "out"), OobleckAutoencoder)
    assert all(torch.equal(one, stage.model.state_dict()[name]) for name, one in model.state_dict().items())
    assert read_config(tmp_path / "out")["training"]["weights"] == "raw"


def test_checkpoints_of_others_and_damaged_ones(tmp_path: Path) -> None:
    checkpoint, _ = train(tmp_path, average=False)
    stored = torch.load(checkpoint, weights_only=True)
    for name, change, said in [
        ("another", {"musegen": None}, "one without a recipe in 'musegen'"),
        ("prefix", {"musegen": {**stored["musegen"], "prefix": "net."}}, "missing 85"),
        ("fewer", {"state_dict": dict(list(stored["state_dict"].items())[5:])}, r"missing 5 \("),
    ]:
        torch.save({**stored, **change}, tmp_path / f"{name}.ckpt")
        with pytest.raises(ValueError, match=said) as error:
            convert(tmp_path / f"{name}.ckpt", tmp_path / "out2")
        assert "\n" not in str(error.value)
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:2000])
    with pytest.raises(ValueError, match="truncated or damaged"):
        convert(tmp_path / "cut.ckpt", tmp_path / "out2")
    assert not (tmp_path / "out2").exists()
