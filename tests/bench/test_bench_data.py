"""``musegen bench data``: every way of reading has a figure, and memory is flat over epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from little_shards import MADE_BY, little_folder, little_sample
from musegen import cli
from musegen.bench.data import memory_after
from musegen.bench.synthetic_shards import KINDS, Kind, write_shards
from musegen.data.random_access import ShardFolder
from musegen.data.shard_writer import ShardWriter


def with_states(folder: Path, count: int) -> Path:
    with ShardWriter(folder, MADE_BY, samples_per_shard=16) as writer:
        for number in range(count):
            sample = little_sample(number)
            writer.write(replace(sample, text=[np.full((3, 5), number)] * len(sample.captions)))
    return folder


def test_every_way_of_reading_has_a_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures.json"
    folder = with_states(tmp_path / "shards", 40)
    cli.main(
        ["bench", "data", "--folder", str(folder), "--workers", "[0,1]", "--seconds", "0.03", "--frames", "16",
         "--epochs", "2", "--out", str(out)]
    )  # fmt: skip
    content = json.loads(out.read_text())
    rows = [(row["what"], row["how"], row["workers"]) for row in content["rows"]]
    kinds = ["latents", "embedding + text states"]
    ways = [("webdataset", 0), *((how, workers) for how in ("raw", "decoded", "batched") for workers in (0, 1))]
    assert rows == [(kind, *way) for kind in kinds for way in ways]
    for row in content["rows"]:
        assert row["samples"] > 0
        assert row["bytes"] > 0
        assert (row["alone"] is None) == (row["workers"] > 0)
    states = next(row for row in content["rows"] if row["what"] == kinds[1])
    assert 128 + 3 * 5 * 2 + 128 + 2 * 8 * 4 <= states["bytes"] / states["samples"] <= 128 + 3 * 5 * 2 + 128 + 4 * 8 * 4
    assert [len(held) for held in content["memory_mb"].values()] == [2, 2]
    printed = capsys.readouterr().out
    assert "58 samples/s" in printed
    assert "20,000 samples/s" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "0"], "seconds: expected more than 0, got 0.0"),
        (["--workers", "[-1]"], "workers: expected numbers of processes, 0 or more, got [-1]"),
        (["--folder", "nowhere"], "expected a folder of shards, got none"),
    ],
)
def test_bad_arguments(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "data", *arguments])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unknown_bench_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", "nothing"])
    assert stop.value.code == 2
    assert "bench: expected one of" in capsys.readouterr().err
    cli.main(["bench"])
    assert "How many samples a second are read" in capsys.readouterr().out


def test_shards_of_noise_have_the_sizes_of_real_ones(tmp_path: Path) -> None:
    sizes = []
    for kind in KINDS:
        write_shards(tmp_path / kind.name, replace(kind, samples=2))
        sample = ShardFolder(tmp_path / kind.name, kind.fields)[1]
        sizes.append(sample.latents.nbytes if sample.latents is not None else sample.text_of(0).nbytes)
    assert sizes == [64 * 1024 * 2, 24 << 10, 192 << 10]


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_is_flat_over_epochs(tmp_path: Path, workers: int) -> None:
    little_folder(tmp_path / "latents", counts=(60,) * 4)
    with_states(tmp_path / "states", 240)
    for kind in (
        Kind("latents", ("caption", "embedding", "latents"), 8, frames=30),
        Kind("states", ("embedding", "text"), 8),
    ):
        held = memory_after(tmp_path / kind.name, kind, epochs=20, workers=workers)
        assert len(held) == 20
        assert held[2] > 1
        assert held[-1] - held[2] < 4, held  # 18 epochs of 240 samples: 1 kB lost a sample would be 4 MB
