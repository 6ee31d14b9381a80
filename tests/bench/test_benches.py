"""Every bench at a tiny size: it prints its table, and its JSON and its picture hold what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from musegen import cli
from musegen.bench.agreement import verdict
from musegen.bench.plot import draw
from musegen.bench.report import Row
from musegen.bench.roofline import Counter, Roofline, WholeAttention
from musegen.bench.scaling import said
from musegen.bench.steps import fewest


def bench(tmp_path: Path, name: str, *arguments: str) -> list[dict[str, Any]]:
    """Run one; its JSON's rows, all of which were measured."""
    out = tmp_path / f"{name}.json"
    cli.main(["bench", name, *arguments, "--device", "cpu", "--out", str(out)])
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["device"].endswith("CPU")
    assert content["ceilings"]["copy"] > 0
    assert content["command"] is not None
    for row in content["rows"]:
        assert "failed" not in row, row
        assert row["each"] > 0
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    return content["rows"]


def printed(capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]]) -> str:
    """The table that was printed, one line for each row."""
    said = capsys.readouterr().out
    table = [line for line in said.splitlines() if line.startswith("| ")]
    assert len(table) == 2 + len(rows)
    for line, row in zip(table[2:], rows, strict=True):
        assert line.startswith(f"| {row['what']} ")
    assert "measured ceilings: float32" in said
    return said


def test_stage1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--steps", "2", "--runs", "1", "--batch-sizes", "1", "2", "--executions", "eager", "graph"]
    rows = bench(tmp_path, "stage1", *arguments)
    assert [(row["what"], row["batch"], row["lane"]) for row in rows] == [
        (f"us, {execution}", batch, lane)
        for execution in ("eager", "graph")
        for batch, lane in ((1, "1 (reproducible)"), (2, "1 (reproducible)"), (2, "2"))
    ]
    assert all(row["evaluations"] == 2 and row["error"] < 1e-3 and row["floor"] > 0 for row in rows)
    assert "poster" in printed(capsys, rows)


def test_stage2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "stage2", "--steps", "2", "--runs", "1", "--batch-sizes", "1", "--executions", "eager")
    (row,) = rows
    assert row["evaluations"] == 2
    assert row["error"] < 1e-3
    assert row["poster"] == 9.94
    printed(capsys, rows)


def test_decode(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--ways", "plain", "fast", "--chunks", "4", "8", "--frames", "8", "--runs", "1"]
    rows = bench(tmp_path, "decode", *arguments)
    assert [(row["what"], row["note"]) for row in rows] == [
        (f"us, {way}", f"chunks of {chunk} frames") for way in ("plain", "fast") for chunk in (4, 8)
    ]
    assert all(row["error"] < 1e-4 for row in rows)
    printed(capsys, rows)


def test_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = bench(tmp_path, "fit", "--size", "tiny", "--steps", "6", "--accumulate", "2")
    assert (row["what"], row["batch"], row["precision"]) == ("fit on 1 process, 2 batches a step", 2, "32-true")
    rate, minutes = (
        float(re.findall(pattern, row["note"])[0]) for pattern in (r"^([\d.]+) items", r"in ([\d.e+]+) min")
    )
    assert rate == pytest.approx(1 / row["each"], rel=1e-3)
    assert minutes == pytest.approx(39000 * 4 / rate / 60, rel=1e-2)
    printed(capsys, [row])


@pytest.mark.parametrize("stage", ["stage1", "stage2"])
def test_train(stage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "train", "--stage", stage, "--ways", "eager", "--runs", "1", "--batch-sizes", "1")
    assert rows[0]["tflops"] > 0
    printed(capsys, rows)


def test_products(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "products", "--rows", "2", "--runs", "1")
    assert {row["what"].split()[0] for row in rows} >= {"stage1", "stage2", "attention,"}
    printed(capsys, rows)


def test_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "pipeline", "--prompts", "2", "--steps", "1", "--stage1_steps", "1", "--runs", "1")
    assert [row["what"] for row in rows] == ["us, auto, batched", "us, auto, one by one"]
    for row in rows:
        assert set(row["parts"]) == {"text", "stage 1", "stage 2", "decode", "write"}
        assert all(seconds > 0 for seconds in row["parts"].values())
        assert sum(row["parts"].values()) < 2 * row["each"] + 0.1
        assert row["floor"] < row["each"]
        assert "eager, decoder plain, text encoder 0.09 GB" in row["note"]
    assert "s in all" in printed(capsys, rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pipeline", "--prompts", "0"], "prompts: expected 1 or more, got 0"),
        (["pipeline", "--size", "100M"], "size: expected one of poster, small, got '100M'"),
        (["pipeline", "--lanes", "wide"], "lanes: expected own, auto or numbers above 0, got wide"),
        (["stage1", "--batch-sizes", "0"], "batch_sizes: expected numbers above 0, got [0]"),
        (["stage2", "--size", "huge"], "size: expected one of poster"),
        (["steps", "--intervals", "0.8-0.2"], "intervals: expected whole, or two flow times such as 0.2-0.8"),
        (["steps", "--stages", "stage3"], "stages: expected stage1 and stage2, got stage3"),
        (["differences", "--items", "0"], "items: expected 1 or more, got 0"),
        (["differences", "--stages", "codec"], "stages: expected stage1 and stage2, got codec"),
        (["fit", "--steps", "1"], "steps: expected 6 or more, got 1"),
        (["fit", "--devices", "0"], "devices: expected numbers above 0, got [0]"),
        (["scaling", "--sizes", "vast"], "sizes: expected some of poster"),
        (["steps", "--reference", "0"], "reference: expected numbers above 0, got [0]"),
        (["decode", "--device", "toaster"], "device: expected auto, cpu, cuda"),
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["bench", *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_picture_has_lines_over_sizes_and_bars_for_one(tmp_path: Path) -> None:
    rows = [Row("us", size, each=0.1 / size, poster=1.0, floor=0.01) for size in (1, 2, 4)]
    assert draw("some", rows, (1e3, "ms"), tmp_path / "lines.png")
    assert draw("some", rows[:1], (1e3, "ms"), tmp_path / "bars.png")
    assert not draw("some", [Row("us", 1, failed="no memory")], (1e3, "ms"), tmp_path / "none.png")
    assert {path.name for path in tmp_path.iterdir()} == {"lines.png", "bars.png"}


def test_steps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--size", "small", "--reference", "64", "--steps", "2", "8", "--samplers", "euler", "midpoint"]
    rows = bench(tmp_path, "steps", *arguments, "--decode", "true")
    measured = {row["what"]: row for row in rows}
    for stage in ("stage1", "stage2"):
        euler, midpoint = (measured[f"{stage} {name}, 8 steps"] for name in ("euler", "midpoint"))
        assert (euler["evaluations"], euler["passes"]) == (8, 16)
        assert (midpoint["evaluations"], midpoint["passes"]) == (16, 32)
        assert midpoint["final"] < euler["final"] < measured[f"{stage} euler, 2 steps"]["final"]
        limited = measured[f"{stage} euler, 8 steps, guided 0.2-0.8"]
        assert limited["evaluations"] == 8
        assert 8 < limited["passes"] < 16
    assert "SI-SDR" in measured["stage2 euler, 8 steps"]["note"]
    said = printed(capsys, rows)
    assert "random weights, small; the solution: dpmpp_2m in 64 steps" in said
    assert "stage1 euler, 50 steps, its own: error" in said


def test_differences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--steps", "2", "--items", "3", "--executions", "eager", "--precisions", "float32", "bfloat16"]
    rows = bench(tmp_path, "differences", *arguments)
    assert [(row["what"], row["precision"]) for row in rows] == [
        (f"{stage}, eager", precision) for stage in ("stage1", "stage2") for precision in ("float32", "bfloat16")
    ]
    for row in rows:
        exact = row["precision"] == "float32"
        assert (row["apart"]["alone"], row["apart"]["reordered"]) == (0, 0)
        assert row["apart"]["one lane of 3"] < (1e-3 if exact else 1)
        assert "the same bits in every request" in row["note"]
        assert row["error"] < 1e-3 if exact else 1e-3 < row["error"] < 5e-2
        assert row["final"] < 1e-3 if exact else 1e-3 < row["final"] < 5e-2
    printed(capsys, rows)


def test_differences_of_clips(tmp_path: Path) -> None:
    arguments = ["--stages", "stage1", "--steps", "1", "--items", "2", "--executions", "eager", "--model", "default"]
    rows = bench(tmp_path, "differences", *arguments, "--seconds", "0.5", "--decoders", "plain", "fast")
    plain, fast = rows[1:]
    assert [row["what"] for row in (plain, fast)] == ["clips, eager, decoder plain", "clips, eager, decoder fast"]
    assert plain["apart"] == fast["apart"] == {"alone": 0, "reordered": 0}
    assert "final" not in plain, "what others are compared with"
    assert fast["final"] < 1e-4
    assert float(re.findall(r"SI-SDR ([\d.]+) dB", fast["note"])[0]) > 60


def test_scaling(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(tmp_path, "scaling", "--sizes", "tiny", "--batch-sizes", "1", "4", "--runs", "1")
    stages = ("stage1 tiny", "stage2 tiny")
    assert [(row["what"], row["batch"]) for row in rows] == [(what, batch) for what in stages for batch in (1, 4)]
    for row in rows:
        assert row["predicted"] >= 0.999 * row["floor"], "launching is a roof more"
        assert re.search(r"M, (launching|moving|computing), knee at [\d.]+", row["note"])
        assert ("; efficiency " in row["note"]) == (row["batch"] == 4)
    assert "one operation takes" in printed(capsys, rows)


def test_roofs() -> None:
    roofs = Roofline(launch=3e-3, move=2e-3, compute=1e-3)
    assert [roofs.seconds(items) for items in (1, 3, 6)] == pytest.approx([3e-3, 3e-3, 6e-3])
    assert roofs.knee == pytest.approx(3)
    assert [roofs.bound(items) for items in (1, 6)] == ["launching", "computing"]
    assert [roofs.efficiency(items) for items in (3, 6)] == pytest.approx([1, 0.5])
    assert Roofline(launch=0, move=2e-3, compute=1e-3).bound(1) == "moving"


def test_operations_are_counted_without_views() -> None:
    with Counter() as counter:
        x = torch.ones(4, 4)
        (x.t().unsqueeze(0)[:, 0] + 1).mul_(2)
    assert counter.count == 3, "ones, the sum and the product; a transpose, a new axis and a slice compute nothing"


def test_attention_is_counted_as_the_one_operation_that_a_gpu_launches() -> None:
    with torch.device("meta"):
        queries, layer = torch.empty(2, 4, 8, 16), torch.nn.Linear(16, 16, bias=False)
    with torch.no_grad(), Counter() as counter, WholeAttention(counter):
        layer(torch.nn.functional.scaled_dot_product_attention(queries, queries, queries))
    assert counter.count == 2


def test_what_is_said_beside_the_poster() -> None:
    rows = [Row("stage2 poster", 1, each=1.0), Row("stage2 poster", 16, each=0.625), Row("stage1 poster", 1, each=1.0)]
    assert said(rows) == ["stage2 poster, 16 at once: 10.0%; the poster's 9.3%"]


def test_a_tolerance_that_is_not_kept_and_bits_that_change_are_said() -> None:
    row = Row("stage1", 4, precision="float32", error=2e-3, same=0.0, apart={"alone": 0.0, "reordered": 0.0})
    assert verdict(row) == "≤ 0.001 and 0.001 asked: NOT KEPT; the same bits in every request"
    row = Row("stage1", 4, precision="bfloat16", error=2e-3, same=0.0, apart={"alone": 1e-9, "reordered": 0.0})
    assert verdict(row) == "≤ 0.01 and 0.001 asked: kept; BITS DEPEND ON THE REQUEST"


def test_the_cheapest_of_the_ways_that_come_as_near_is_named() -> None:
    own = Row("own", 1, final=0.1, passes=100)
    rows = [
        Row("far", 1, final=0.2, passes=2),
        Row("near", 1, final=0.104, passes=20),
        Row("best", 1, final=0, passes=30),
    ]
    assert fewest(own, rows) == "own: error 0.1 after 100 passes; as near with the fewest: near, 0.1 after 20"
    assert fewest(own, rows[:1]) == "own: error 0.1 after 100 passes; nothing else comes as near"
