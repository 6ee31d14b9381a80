"""What is read when: every sample once, equal parts, other orders each epoch, and going on anywhere."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from little_shards import little_folder, little_sample
from musegen.data.loader import Loader
from musegen.data.module import ShardData
from musegen.data.order import EpochOrder, OrderedBatches, TrainingBatches
from musegen.data.shard_writer import ShardWriter


def data(folder: Path | list[Path], rank: int = 0, world: int = 1, **arguments: Any) -> ShardData:
    folders = [str(path) for path in (folder if isinstance(folder, list) else [folder])]
    splits = {"train": folders, "val": folders, "predict": folders}
    module = ShardData(**(splits | {"fields": ["caption", "embedding"], "batch_size": 2, "seed": 1} | arguments))
    module.trainer = SimpleNamespace(global_rank=rank, world_size=world)  # type: ignore[assignment]
    return module


def keys(batches: Any) -> list[list[str]]:
    return [batch["key"] for batch in batches]


def flat(batches: list[list[str]]) -> list[str]:
    return list(itertools.chain.from_iterable(batches))


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_training_sees_every_sample_once_but_for_the_remainder(tmp_path: Path, world: int, workers: int) -> None:
    every = little_folder(tmp_path, counts=(5, 1, 4, 3))
    loaders = [data(tmp_path, rank, world, num_workers=workers).train_dataloader() for rank in range(world)]
    orders = []
    for _ in range(2):
        seen = [keys(loader) for loader in loaders]
        assert [len(batches) for batches in seen] == [13 // (2 * world)] * world == [len(loader) for loader in loaders]
        found = [key for batches in seen for key in flat(batches)]
        assert len(set(found)) == len(found) == 13 - 13 % (2 * world)
        assert set(found) <= set(every)
        orders.append(found)
    assert orders[0] != orders[1]


def test_what_is_left_out_changes(tmp_path: Path) -> None:
    every = little_folder(tmp_path, counts=(5, 6))
    loader = data(tmp_path).train_dataloader()
    left_out = [set(every) - set(flat(keys(loader))) for _ in range(20)]
    assert all(len(keys) == 1 for keys in left_out)
    assert len(set.union(*left_out)) > 5


def test_the_order_follows_from_the_seed(tmp_path: Path) -> None:
    little_folder(tmp_path)
    first, again, other = (keys(data(tmp_path, seed=seed).train_dataloader()) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_many_processes_see_the_global_batch_of_one(tmp_path: Path) -> None:
    little_folder(tmp_path, counts=(5, 8, 4))
    alone = data(tmp_path, batch_size=4, fields=["caption", "embedding", "latents"], frames=8).train_dataloader()
    two = [
        data(tmp_path, rank, 2, batch_size=2, fields=["caption", "embedding", "latents"], frames=8).train_dataloader()
        for rank in range(2)
    ]
    count = 0
    for _ in range(2):
        for whole, *halves in zip(alone, *two, strict=True):
            count += 1
            for name, value in whole.items():
                joined = [half[name] for half in halves]
                if isinstance(value, torch.Tensor):
                    assert torch.equal(value, torch.cat(joined)), name
                else:
                    assert value == joined[0] + joined[1], name
    assert count == 8


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("stop", [1, 3, 5, 7])
def test_going_on_anywhere(tmp_path: Path, workers: int, stop: int) -> None:
    """Five batches an epoch: in the middle, at an epoch's end (5), and in the second epoch."""
    little_folder(tmp_path)
    loader = data(tmp_path).train_dataloader()
    whole = keys(itertools.chain(loader, loader, loader))
    loader = data(tmp_path, num_workers=workers).train_dataloader()
    seen = keys(itertools.islice(itertools.chain(loader, loader), stop))
    state = loader.state_dict()
    resumed = data(tmp_path, num_workers=2 - min(workers, 2)).train_dataloader()  # another number of workers
    resumed.load_state_dict(state)
    seen += keys(itertools.chain.from_iterable(resumed for _ in range(3 - stop // 5)))
    assert seen == whole


def test_an_epoch_that_is_broken_off_is_over(tmp_path: Path) -> None:
    little_folder(tmp_path)
    for workers in (0, 2):
        loader = data(tmp_path, num_workers=workers).train_dataloader()
        next(iter(loader))
        second = keys(loader)
        fresh = data(tmp_path).train_dataloader()
        assert second == [keys(fresh), keys(fresh)][1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": 2, "batch_size": 1}, "expected processes 1 as it was, got 2"),
        ({"batch_size": 3}, "expected batch_size 2 as it was, got 3"),
        ({"seed": 2}, "expected seed 1 as it was, got 2"),
        ({"weights": [2.0]}, r"expected weights None as it was, got \[2.0\]"),
        ({"folder": "other"}, "expected shards [0-9a-f]{16} as it was"),
    ],
    ids=["world", "batch size", "seed", "weights", "shards"],
)
def test_going_on_with_other_data_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    little_folder(tmp_path / "this")
    little_folder(tmp_path / "other", prefix="other")
    loader = data(tmp_path / "this").train_dataloader()
    next(iter(loader))
    folder = tmp_path / change.pop("folder", "this")
    with pytest.raises(ValueError, match=f"cannot go on with this checkpoint's data: {message}"):
        data(folder, **change).train_dataloader().load_state_dict(loader.state_dict())


@pytest.mark.parametrize("world", [1, 2, 3, 7, 10])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_held_out_samples_come_once_in_equally_many_batches(tmp_path: Path, world: int, batch_size: int) -> None:
    every = little_folder(tmp_path)
    seen = [keys(data(tmp_path, rank, world, batch_size=batch_size).val_dataloader()) for rank in range(world)]
    assert len({len(batches) for batches in seen}) == 1
    assert sorted(key for batches in seen for batch in batches for key in batch) == every
    sizes = [len(batch) for batches in seen for batch in batches]
    assert min(sizes) >= 1
    assert max(sizes) <= max(batch_size, 2)
    loader = data(tmp_path).val_dataloader()
    assert keys(loader) == keys(loader)


def test_prediction_sees_every_sample_once_on_any_number_of_processes(tmp_path: Path) -> None:
    every = little_folder(tmp_path)
    for world in (1, 2, 3, 13):
        seen = [keys(data(tmp_path, rank, world).predict_dataloader()) for rank in range(world)]
        assert sorted(key for batches in seen for batch in batches for key in batch) == every


def test_more_workers_than_shards_and_samples(tmp_path: Path) -> None:
    every = little_folder(tmp_path, counts=(3,))
    assert flat(keys(data(tmp_path, num_workers=5).val_dataloader())) == every
    assert len(keys(data(tmp_path, num_workers=5, batch_size=1).train_dataloader())) == 3


def test_folders_are_mixed_by_weight(tmp_path: Path) -> None:
    little_folder(tmp_path / "a", counts=(10,), prefix="a")
    little_folder(tmp_path / "b", counts=(6,), prefix="b")
    loader = data([tmp_path / "a", tmp_path / "b"], weights=[0.5, 2.5], batch_size=5).train_dataloader()
    assert len(loader) == 4
    epochs, seeds = [], Counter()
    for _ in range(6):
        batches = list(loader)
        counted = Counter(key for batch in batches for key in batch["key"])
        seeds.update(seed for batch in batches for seed in batch["seed"].tolist())
        assert sum(count for key, count in counted.items() if key.startswith("a")) == 5
        assert all(count in (2, 3) for key, count in counted.items() if key.startswith("b"))
        epochs.append(frozenset(key for key in counted if key.startswith("a")))
    assert max(seeds.values()) == 1  # a sample that comes again is another item
    assert len(set(epochs)) > 1
    assert len(frozenset.union(*epochs)) == 10
    orders = EpochOrder([10, 6], None, seed=1)
    assert sorted(orders.shuffled(0)[:, 0].tolist()) == list(range(16))
    mixed = orders.shuffled(0)[:8, 0]
    assert 0 < (mixed < 10).sum() < 8


def test_every_sample_has_its_share_in_the_long_run() -> None:
    order, epochs = EpochOrder([40, 30], [0.25, 1.5], seed=4), 60
    counted = Counter(position for epoch in range(epochs) for position, _ in order.shuffled(epoch).tolist())
    assert len(order) == 10 + 45
    for number in range(40):
        assert 4 < counted[number] < 27  # 15 are expected, with a standard deviation of 3.4
    for number in range(40, 70):
        assert 60 + 15 < counted[number] < 60 + 45  # once an epoch, and in every other once more
    firsts = np.array([(order.shuffled(epoch)[:27, 0] < 40).mean() for epoch in range(epochs)])
    assert abs(firsts.mean() - 10 / 55) < 0.04  # mixed evenly, not one folder after the other


def test_patterns_of_folders(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b"):
        little_folder(tmp_path / name, counts=(2,), prefix=name)
    module = ShardData(train=[f"{tmp_path}/a*"], batch_size=4)
    (batch,) = module.train_dataloader()
    assert sorted(batch["key"]) == ["a1-000", "a1-001", "a2-000", "a2-001"]
    assert module.licences == ["CC-BY-4.0", "CC0-1.0"]
    with pytest.raises(ValueError, match=r"train: expected folders like .*/c\*, got none"):
        ShardData(train=[f"{tmp_path}/c*"]).train_dataloader()


# --- damage


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    little_folder(tmp_path)
    shard = tmp_path / "00002.tar"
    content = bytearray(shard.read_bytes())
    content[600] ^= 1  # inside the first member of the first sample
    shard.write_bytes(content)
    return tmp_path


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_stops_with_one_line(damaged: Path, workers: int) -> None:
    with pytest.raises(ValueError, match=r"^\S+00002.tar: damaged: piece-006.embedding.npy is not[^\n]*$"):
        list(data(damaged, num_workers=workers).val_dataloader())


@pytest.mark.parametrize("workers", [0, 2])
def test_skipped_samples_are_counted_by_shard(tmp_path: Path, workers: int) -> None:
    little_folder(tmp_path, counts=(5, 3, 4))
    (tmp_path / "00000.tar").unlink()
    content = (tmp_path / "00002.tar").read_bytes()
    (tmp_path / "00002.tar").write_bytes(content[:600] + b"\xff" + content[601:])  # its first sample
    module = data(tmp_path, on_damage="skip", num_workers=workers, batch_size=3)
    loader = module.train_dataloader()
    batches, epochs = [], []
    for _ in range(2):
        with pytest.warns(UserWarning, match="skipped") as warned:
            batches += list(loader)
        epochs.append([str(one.message) for one in warned if "skipped" in str(one.message)])
    module.teardown("fit")
    assert all("skipped" not in batch for batch in batches)
    first, second = epochs
    assert sum("skipped a sample" in line for line in first) == 2  # once a shard, by whichever worker
    assert [line for line in second if "skipped a sample" in line] == []
    for lines in epochs:
        found = re.search(
            r"skipped (\d+) damaged samples in this epoch, (\d+) of .*00000.tar, (\d+) of .*02.tar", lines[-1]
        )
        assert found is not None, lines
        total, lost, overwritten = map(int, found.groups())
        assert total == lost + overwritten
        assert lost >= 5  # those of the epoch's own order, and those that were drawn in place of another
        assert overwritten >= 1


def test_damage_is_skipped_by_choice(damaged: Path) -> None:
    loader = data(damaged, on_damage="skip").train_dataloader()
    with pytest.warns(UserWarning, match=r"skipped a sample.*00002.tar: damaged") as warned:
        epochs = [keys(loader), keys(loader)]
    assert len(warned) == 3  # once the shard, and the number after each epoch
    for epoch in epochs:
        assert [len(batch) for batch in epoch] == [2] * 5  # as many as ever
        assert "piece-006" not in flat(epoch)
    with pytest.warns(UserWarning, match="skipped a sample"):
        assert keys(data(damaged, on_damage="skip").train_dataloader()) == epochs[0]
    (damaged / "00001.tar").unlink()
    with pytest.warns(UserWarning, match="skipped a sample"):
        assert "piece-005" not in flat(keys(data(damaged, on_damage="skip").train_dataloader()))
    for shard in damaged.glob("*.tar"):
        shard.unlink()
    with pytest.raises(ValueError, match=r"100 damaged samples in a row are too many to skip, the last: .*\.tar: "):
        keys(data(damaged, on_damage="skip").train_dataloader())


def test_what_stands_in_for_a_lost_shard_is_spread(tmp_path: Path) -> None:
    little_folder(tmp_path, counts=(10, 10))
    (tmp_path / "00001.tar").unlink()
    with pytest.warns(UserWarning, match="skipped a sample"):
        counted = Counter(flat(keys(data(tmp_path, on_damage="skip").train_dataloader())))
    assert sum(counted.values()) == 20
    assert max(counted.values()) < 8


def test_items_of_different_lengths_are_one_line_from_a_worker(tmp_path: Path) -> None:
    little_folder(tmp_path)
    with pytest.raises(ValueError, match=r"^expected latents of one shape in a batch[^\n]*$"):
        list(data(tmp_path, fields=["latents"], num_workers=1).val_dataloader())


# --- bad arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"fields": ["captions"]},
            "fields: expected some of caption, embedding, latents, audio, text, facts, got captions",
        ),
        ({"fields": []}, "fields: expected some of .* got none"),
        ({"batch_size": 0}, "batch_size: expected 1 or more, got 0"),
        ({"num_workers": -1}, "num_workers: expected 0 or more, got -1"),
        ({"frames": 0}, "frames: expected 1 or more, got 0"),
        ({"fields": ["audio"]}, "samples: expected the length of audio in a batch, got none"),
        ({"weights": [1.0, 2.0]}, "weights: expected 1, one for each of train, got 2"),
    ],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data(tmp_path, **arguments)


def test_bad_folders(tmp_path: Path) -> None:
    little_folder(tmp_path / "few", counts=(3,))
    with pytest.raises(ValueError, match=r"expected at least 16 samples \(2 processes with batches of 8\), got 3"):
        data(tmp_path / "few", world=2, batch_size=8).train_dataloader()
    with pytest.raises(ValueError, match=r"val: expected at least one sample for each of 4 processes, got 3"):
        data(tmp_path / "few", world=4).val_dataloader()
    with pytest.raises(ValueError, match="weights: expected 1 numbers above 0"):
        data(tmp_path / "few", weights=[0.0]).train_dataloader()
    with pytest.raises(ValueError, match="expected shards with audio, got shards with caption, embedding, latents"):
        data(tmp_path / "few", fields=["audio"], samples=9).train_dataloader()
    with pytest.raises(ValueError, match=r"made by something else than `requires`: embedding.revision is '1', not 'x'"):
        data(tmp_path / "few", requires={"embedding": {"revision": "x"}}).val_dataloader()
    with pytest.raises(FileNotFoundError, match="expected a folder of shards, got none"):
        data(tmp_path / "none").train_dataloader()
    with pytest.raises(ValueError, match="expected folders of shards as `test`, got none"):
        data(tmp_path / "few").test_dataloader()
    assert data(tmp_path / "few", val=[]).val_dataloader() == []
    with ShardWriter(tmp_path / "empty", {}):
        pass
    with pytest.raises(ValueError, match=r"val: expected samples, got none in .*empty"):
        data(tmp_path / "empty").val_dataloader()


def test_audio_batches(tmp_path: Path) -> None:
    little_folder(tmp_path, audio=True)
    module = data(tmp_path, fields=["audio"], samples=500, sample_rate=1000, num_workers=1)
    batch = next(iter(module.train_dataloader()))
    assert batch["audio"].shape == (2, 2, 500)
    assert batch["audio"].dtype == torch.int16  # until it is where it is needed
    assert module.on_after_batch_transfer(batch, 0)["audio"].dtype == torch.float32
    assert sorted(batch) == ["audio", "key", "seconds_start", "seconds_total", "seed"]


def test_places_hold_for_large_numbers() -> None:
    order = EpochOrder([1000, 500], [1.0, 3.0], seed=2)
    batches = [TrainingBatches(order, 16, rank, 4) for rank in range(4)]
    places = [place for part in batches for batch in part for place in batch]
    assert len(places) == len(set(places)) == 2500 - 2500 % 64
    split = [OrderedBatches(1001, 16, rank, 4) for rank in range(4)]
    assert {len(part) for part in split} == {16}
    assert sorted(position for part in split for batch in part for _, position, _ in batch) == list(range(1001))
    assert np.ptp([len(batch) for part in split for batch in part]) <= 1


def test_state_is_small_and_plain(tmp_path: Path) -> None:
    little_folder(tmp_path)
    loader = data(tmp_path).train_dataloader()
    next(iter(loader))
    state = loader.state_dict()
    assert (state["epoch"], state["position"]) == (0, 1)
    assert len(repr(state)) < 200
    assert isinstance(loader, Loader)
    assert little_sample(0).key == "piece-000"
