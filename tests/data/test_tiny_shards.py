"""The shards in the repository: whole, free, small, and enough for a first look."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml

from musegen.data.module import ShardData
from musegen.data.random_access import ShardFolder
from musegen.data.verify import verify_folder

ROOT = Path(__file__).parents[2]
TINY = ROOT / "data" / "tiny"


def test_they_are_whole_free_and_small() -> None:
    reports = {name: verify_folder(TINY / name) for name in ("audio", "cached")}
    for name, licence in (("audio", "CC0-1.0"), ("cached", "Apache-2.0 AND CC0-1.0")):  # the embedder's, over MiniLM
        assert reports[name].problems == []
        assert dict(reports[name].licences) == {f"licence {licence}": reports[name].samples}
    assert reports["audio"].samples == 2
    assert reports["cached"].samples == 12
    assert dict(reports["cached"].shapes) == {"caption": 12, "embedding [windows, 512]": 12, "latents [64, frames]": 12}
    assert sum(path.stat().st_size for path in TINY.rglob("*")) < 1_000_000


def test_captions_say_what_was_rendered() -> None:
    for name in ("audio", "cached"):
        folder = ShardFolder(TINY / name)
        for position in range(len(folder)):
            sample = folder[position]
            assert len(sample.captions) >= 3
            assert any(str(sample.facts["tempo"]) in caption for caption in sample.captions)
            key = sample.facts["key"]
            spoken = key.replace("#", " sharp").replace("b ", " flat ")
            assert any(key in caption or spoken in caption for caption in sample.captions)
            assert sample.facts["source"] == "rendered"


def test_audio_is_music() -> None:
    data = ShardData(train=[str(TINY / "audio")], fields=["audio", "caption"], samples=44100, batch_size=2)
    (batch,) = data.train_dataloader()
    assert batch["audio"].shape == (2, 2, 44100)
    assert 0.01 < float(batch["audio"].std()) < 0.5


def test_a_run_reads_them() -> None:
    data = ShardData(train=[str(TINY / "cached")], fields=["embedding", "latents"], frames=128, batch_size=4)
    batches = list(data.train_dataloader())
    assert [batch["latents"].shape for batch in batches] == [(4, 64, 128)] * 3
    assert all(torch.isfinite(batch["latents"]).all() and batch["latents"].std() > 0.1 for batch in batches)
    embeddings = torch.cat([batch["embedding"] for batch in batches])
    likeness = embeddings @ embeddings.T
    assert float(likeness.fill_diagonal_(-1).max()) < 0.999  # twelve different pieces
    assert data.licences == ["Apache-2.0 AND CC0-1.0"]


def test_they_are_what_the_shipped_configurations_read() -> None:
    for name in ("embeddings", "latents"):
        arguments = yaml.safe_load((ROOT / "configs" / "data" / f"{name}.yaml").read_text())["data"]["init_args"]
        data = ShardData(**(arguments | {"train": [str(TINY / "cached")], "batch_size": 4, "num_workers": 0}))
        keys = [key for batch in data.train_dataloader() for key in batch["key"]]
        assert sorted(keys) == [f"rendered-train-3-{number:06d}" for number in range(12)]
