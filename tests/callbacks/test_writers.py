"""What predictions are written into: no item in another's place, no run's items among another's."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from little_shards import little_folder
from musegen.callbacks.audio_writer import AudioWriter
from musegen.callbacks.embedding_writer import EmbeddingWriter
from musegen.data.module import ShardData
from musegen.data.prompts import PromptData


def trainer(rank: int = 0, world: int = 1) -> Any:
    return SimpleNamespace(global_rank=rank, world_size=world)


def test_every_key_has_a_file_of_its_own(tmp_path: Path) -> None:
    keys = ["a+b", "a=b", "a@b", "a_b", "../a b", "a-b.c"]
    writer = AudioWriter(str(tmp_path / "out"))
    writer.on_predict_start(trainer(), None)  # type: ignore[arg-type]
    made = {"key": keys, "audio": torch.zeros(len(keys), 2, 10), "sample_rate": 44100}
    writer.write_on_batch_end(trainer(), SimpleNamespace(), made, None, {}, 0, 0)  # type: ignore[arg-type]
    written = {json.loads(path.read_text())["key"]: path.stem for path in (tmp_path / "out").glob("*.json")}
    assert set(written) == set(keys)
    assert {key: written[key] for key in keys[:4]} == {key: key for key in keys[:4]}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("first", "second"), [((0, 1), (1, 2)), ((0, 2), (0, 1)), ((1, 2), (0, 2))])
def test_a_folder_with_shards_of_any_process_is_refused(
    tmp_path: Path, first: tuple[int, int], second: tuple[int, int]
) -> None:
    prediction = {
        "key": ["a"],
        "caption": ["a waltz"],
        "seed": torch.tensor([1]),
        "embedding": torch.nn.functional.normalize(torch.ones(1, 8)),
    }
    writer = EmbeddingWriter(str(tmp_path))
    writer.setup(trainer(*first), None, "predict")  # type: ignore[arg-type]
    writer.on_predict_start(trainer(*first), None)  # type: ignore[arg-type]
    writer.write_on_batch_end(trainer(*first), SimpleNamespace(), prediction, None, {}, 0, 0)  # type: ignore[arg-type]
    writer.on_predict_end(trainer(*first), None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected a folder without shards, got one with index\S*\.json"):
        EmbeddingWriter(str(tmp_path)).setup(trainer(*second), None, "predict")  # type: ignore[arg-type]


def test_items_of_one_key_are_refused_beforehand(tmp_path: Path) -> None:
    little_folder(tmp_path / "this", (3,))
    little_folder(tmp_path / "that", (2,))
    data = ShardData(predict=[str(tmp_path / "this"), str(tmp_path / "that")])
    with pytest.raises(ValueError, match=r"predict: expected unique keys, got 'piece-000' in \S+this and in \S+that"):
        data.check("predict")


def test_a_key_too_long_for_its_seed_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps({"caption": "a waltz", "key": "k" * 79}))
    PromptData(str(tmp_path / "p.jsonl")).check("predict")
    with pytest.raises(ValueError, match=r"expected keys of at most 80 characters with their seeds, got 'k+-0'"):
        PromptData(str(tmp_path / "p.jsonl"), samples=2).check("predict")


def test_seeds_end_where_they_do_everywhere(tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("a waltz")
    PromptData(str(tmp_path / "p.txt"), seed=2**63 - 2, samples=2).check("predict")
    with pytest.raises(ValueError, match=r"expected seeds from 0 to 2\*\*63 - 1, got 9223372036854775808"):
        PromptData(str(tmp_path / "p.txt"), seed=2**63 - 2, samples=3).check("predict")
