"""Text states in shards: the drawn caption's are read, and a model takes them in place of running its encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import numpy as np
import pytest
import torch
from torch import Tensor

from little_shards import MADE_BY, little_sample
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.data.items import ItemMaker, collate
from musegen.data.module import ShardData
from musegen.data.pairs import PairReader
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_reader import DamagedShardError
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.stages.text2muq import Text2MuQFlow
from musegen.stages.text_states import check_text_states
from tiny import TinyEncoder


class Counting(TinyEncoder):
    """Counts what it encodes."""

    encoded = 0

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        self.encoded += len(captions)
        return super().encode(captions)


def quiet_trainer(folder: Path, **arguments: Any) -> L.Trainer:
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    return L.Trainer(
        accelerator="cpu", devices=1, default_root_dir=folder, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False, **arguments,
    )  # fmt: skip


def with_text(sample: Sample) -> Sample:
    states, mask = TinyEncoder().encode(sample.captions)
    return replace(sample, text=[state[real].numpy() for state, real in zip(states, mask, strict=True)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    captions = {"main": "a slow sad waltz", "alt": "waltz", "more": "one two three four five six seven"}
    with ShardWriter(tmp_path, MADE_BY, samples_per_shard=4) as writer:
        for number in range(10):
            own = {name: f"{text} {number}" for name, text in captions.items()}
            writer.write(with_text(little_sample(number, captions=own)))
    return tmp_path


def test_text_states_come_back(folder: Path) -> None:
    shards = ShardFolder(folder, ["text"])
    assert shards.index.fields == ("caption", "embedding", "latents", "text")
    sample = shards[6]
    states, mask = TinyEncoder().encode(sample.captions)
    assert sample.text is not None
    assert [len(text) for text in sample.text] == mask.sum(1).tolist() == [5, 2, 6]
    for text, expected, real in zip(sample.text, states, mask, strict=True):
        assert text.dtype == np.float16
        np.testing.assert_array_equal(text, expected[real].half().numpy())
    report = verify_folder(folder)
    assert not report.problems


@pytest.mark.parametrize("workers", [0, 1])
def test_the_model_gets_from_shards_what_its_encoder_makes(folder: Path, workers: int) -> None:
    data = ShardData(
        train=[str(folder)], fields=["caption", "embedding", "text"], batch_size=5, num_workers=workers, seed=3
    )
    encoder = Counting()
    conditioner = CaptionConditioner(encoder)
    drawn = set()
    for _ in range(3):
        for batch in data.train_dataloader():
            drawn.update(caption.split()[0] for caption in batch["caption"])
            states, mask = conditioner(batch)
            assert encoder.encoded == 0
            expected, real = conditioner({"caption": batch["caption"]})
            encoder.encoded = 0
            assert torch.equal(mask, real)
            assert torch.equal(states, expected.half().float())
    assert drawn == {"a", "waltz", "one"}
    data.teardown("fit")


def test_only_the_drawn_caption_is_read(folder: Path) -> None:
    content = bytearray((folder / "00000.tar").read_bytes())
    table = ShardFolder(folder, ["text"]).shards[0].table
    begin, size, _ = table.places(0)["text.1.npy"]
    content[begin + size - 1] ^= 1
    (folder / "00000.tar").write_bytes(content)
    shards, make = ShardFolder(folder, ["text"]), ItemMaker(["text"], training=False)
    with shards.open(0) as sample:
        assert len(make(sample)["text"]) == 5
        with pytest.raises(DamagedShardError, match=r"00000.tar: damaged: piece-000.text.1.npy is not what was"):
            sample.text_of(1)
    with pytest.raises(DamagedShardError, match=r"piece-000.text.1.npy"):
        shards[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_pairs_are_read_at_once_as_one_by_one(folder: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def epochs() -> list[dict[str, object]]:
        data = ShardData(
            train=[str(folder)], fields=["text", "embedding"], batch_size=4, num_workers=workers, weights=[1.5], seed=3
        )
        loader = data.train_dataloader()
        found = [batch for _ in range(3) for batch in loader]
        data.teardown("fit")
        return found

    at_once = epochs()
    monkeypatch.setattr(PairReader, "can", staticmethod(lambda make: False))
    one_by_one = epochs()
    assert len(at_once) == len(one_by_one) == 9
    for one, other in zip(at_once, one_by_one, strict=True):
        assert one.keys() == other.keys() == {"key", "seed", "embedding", "text_states", "text_mask"}
        for name, value in one.items():
            assert value == other[name] if name == "key" else torch.equal(value, other[name]), name  # type: ignore
            assert name == "key" or value.dtype == other[name].dtype  # type: ignore


def test_damage_among_pairs(folder: Path) -> None:
    content = bytearray((folder / "00001.tar").read_bytes())
    begin, size, _ = ShardFolder(folder).shards[1].table.places(2)["embedding.npy"]
    for byte in (begin + size - 1, begin + 70):  # of the numbers, of the header
        content[byte] ^= 1
        (folder / "00001.tar").write_bytes(content)
        data = {"train": [str(folder)], "fields": ["text", "embedding"], "batch_size": 5}
        with pytest.raises(ValueError, match=r"00001.tar: damaged: piece-006.embedding.npy is not what was written"):
            list(ShardData(**data).train_dataloader())  # type: ignore[arg-type]
        with pytest.warns(UserWarning, match="skipped a sample"):
            batches = list(ShardData(**data, on_damage="skip").train_dataloader())  # type: ignore[arg-type]
        assert [len(batch["key"]) for batch in batches] == [5, 5]
        assert all("piece-006" not in batch["key"] for batch in batches)


def test_states_of_another_encoder_are_refused() -> None:
    batch = {"text_states": torch.zeros(2, 3, 8), "text_mask": torch.ones(2, 3, dtype=torch.bool)}
    with pytest.raises(ValueError, match=r"expected TinyEncoder's, at most 6 tokens of width 24, got \[3, 8\]"):
        CaptionConditioner(TinyEncoder())(batch)
    items = [{"key": "a", "text": np.ones((2, 3))}, {"key": "b", "text": np.ones((2, 4))}]
    with pytest.raises(ValueError, match="text states of one width in a batch, got 3 of 'a', 4 of 'b'"):
        collate(items)


def test_held_out_items_have_their_captions_too(folder: Path) -> None:
    data = ShardData(train=[str(folder)], val=[str(folder)], fields=["embedding", "text"], batch_size=5)
    assert "caption" not in next(iter(data.train_dataloader()))
    assert next(iter(data.val_dataloader()))["caption"][0] == "a slow sad waltz 0"  # type: ignore[index]


def test_training_learns_from_cached_states_what_it_learns_from_captions(folder: Path, tmp_path: Path) -> None:
    losses = []
    for fields in (["caption", "embedding"], ["embedding", "text"]):
        torch.manual_seed(0)
        network = EmbeddingTransformer(
            dim=32, depth=1, heads=2, embedding_dim=8, embedding_tokens=2, text_dim=24, null="learned"
        )
        encoder = Counting()
        conditioning = Conditioning({"caption": CaptionConditioner(encoder)}, ["caption"])
        stage = Text2MuQFlow(network, conditioning, RectifiedFlow(), optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
        data = ShardData(train=[str(folder)], fields=fields, batch_size=4, seed=3)  # type: ignore[arg-type]
        trainer = quiet_trainer(tmp_path, max_epochs=2)
        trainer.fit(stage, datamodule=data)
        assert (encoder.encoded == 0) == ("text" in fields)
        losses.append(float(trainer.callback_metrics["train/loss"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_training_refuses_the_states_of_another_encoder(folder: Path) -> None:
    class Made:
        fields = ("embedding", "text")
        made_by = {"here": {"text": {"revision": "other-1"}}}  # noqa: RUF012

    model = torch.nn.ModuleDict({"told": CaptionConditioner(TinyEncoder())})
    with pytest.raises(
        ValueError, match="here: its text states were made by other-1, expected tiny-1, the model's enc"
    ):
        check_text_states(model, Made())
    Made.made_by = {"here": {"text": {"revision": "tiny-1"}}, "there": {}}
    check_text_states(model, Made())
    check_text_states(model, ShardData(train=[str(folder)], fields=["embedding", "text"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([], "expected text states of each of 1 captions, got 0"),
        ([np.zeros(3)], r"expected text states \[tokens, dim\], got \[3\]"),
        ([np.zeros((0, 3))], r"expected text states \[tokens, dim\], got \[0, 3\]"),
        ([np.full((2, 3), 1e6)], "finite in float16"),
    ],
)
def test_bad_text_states_are_not_written(tmp_path: Path, text: list[np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=f"sample 'a': .*{message}"), ShardWriter(tmp_path, {}) as writer:
        writer.write(Sample("a", {"captions": ["one"]}, text=text))
