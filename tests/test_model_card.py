"""The model card: every figure in it is the evaluation's, and what was not measured is said to be missing."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from musegen.audio import encode_audio
from musegen.cli import main
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.metrics.evaluation import evaluate_folders
from musegen.metrics.key import KeyAgreement
from musegen.metrics.loudness import Loudness
from musegen.metrics.report import write_json
from musegen.metrics.silence import Silence
from musegen.metrics.tempo import TempoAgreement
from music_made import write_songs
from tiny import save_pipeline

SCRIPTS = Path(__file__).parents[1] / "scripts"
TEMPI = (100, 120, 140)
KEYS = (("C", 0, "major"), ("D", 2, "minor"), ("E", 4, "major"))
FACTS = """\
hardware: one abacus
training:
  vae: {minutes: 12.5, note: two links}
  text2muq: {minutes: 3, note: null}
shortfalls: [The codec is random.]
remarks: null
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """The text of a card of a tiny pipeline and of a tiny evaluation."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from model_card import model_card  # type: ignore[import-not-found]  # of scripts/

    save_pipeline(tmp_path / "model")
    (tmp_path / "facts.yaml").write_text(FACTS, encoding="utf-8")
    (tmp_path / "evaluation").mkdir(exist_ok=True)

    def written(**more: Any) -> str:
        card = model_card(
            str(tmp_path / "model"), tmp_path / "evaluation", tmp_path / "facts.yaml", tmp_path / "curves", **more
        )
        return card.read_text(encoding="utf-8")

    yield written
    for name in [name for name, module in sys.modules.items() if str(SCRIPTS) in str(getattr(module, "__file__", ""))]:
        del sys.modules[name]


def evaluate(tmp_path: Path) -> None:
    """Judge a right and a wrong folder; a codec; and write what other scripts would."""
    out = tmp_path / "evaluation"
    right = str(write_songs(tmp_path / "right", TEMPI, KEYS))
    wrong = str(write_songs(tmp_path / "wrong", TEMPI, KEYS, wrong=True))
    metrics = [TempoAgreement(), KeyAgreement(), Silence(), Loudness()]
    for name, folders in {"known": [right], "unseen": [wrong], "regression": [right, wrong]}.items():
        write_json(evaluate_folders(folders, metrics, truth=right), out / name / "evaluation.json")
    main(["evaluate", "--codec", str(tmp_path / "model" / "vae"), "--audio", right, "--seconds", "1",
          "--out", str(out / "codec")])  # fmt: skip
    (out / "probe_known.json").write_text(json.dumps({"music": {"tempo": 0.314}, "chance": {"tempo": 0.027}}))
    figures = {name: [0.123, 0.1, 0.15] for name in ("r2", "r2 of mean", "top1", "top10", "spread")}
    rows = [{"name": "flow", "guidance": 3.0, "figures": figures}]
    (out / "guidance").mkdir()
    (out / "guidance" / "guidance.json").write_text(
        json.dumps({"pieces": 3, "draws": 2, "chance of top10": 1.0, "rows": rows})
    )
    (tmp_path / "curves").mkdir()
    curve = "name,step,value\ntrain/loss,9,2.5\nval/loss,9,1.875\nval/loss,19,1.75\n"
    (tmp_path / "curves" / "vae_0.csv").write_text(curve)


def section(card: str, title: str) -> str:
    return re.split(r"^## ", card.partition(f"## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def cells(card: str, title: str, name: str) -> list[str]:
    """The cells of a table's row, by its first."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section(card, title).splitlines()]
    (found,) = (row for row in rows if row[0] == name)
    return found[1:]


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", cell)]


def near(cell: str, estimate: dict[str, float] | None) -> bool:
    """Whether a cell says an estimate, to the last digit that it shows."""
    if estimate is None:
        return cell == "-"
    said = [estimate[name] for name in ("value", "low", "high") if name in estimate]
    shown = numbers(cell)
    rounding = 0.5 if abs(said[0]) >= 100 else 0.05 if abs(said[0]) >= 10 else 0.005
    return len(shown) == len(said) and all(abs(a - b) <= 1.001 * rounding for a, b in zip(shown, said, strict=True))


def assert_same(card: str, evaluation: Path) -> int:
    """Every figure of the evaluation stands in the card; how many they were."""
    count = 0
    titles = {"known": "Held-out songs of known grooves", "unseen": "Songs of grooves never seen"}
    for name, title in {**titles, "regression": "Flow against regression"}.items():
        judged = json.loads((evaluation / name / "evaluation.json").read_text(encoding="utf-8"))["judged"]
        for figures in zip(*(one["figures"] for one in judged), strict=True):
            row = cells(card, title, figures[0]["name"])
            assert near(row[0], figures[0].get("ceiling")), (title, figures[0], row)
            assert near(row[1], figures[0].get("chance")), (title, figures[0], row)
            for figure, cell in zip(figures, row[2:], strict=False):
                assert near(cell, figure["ours"]), (title, figure, row)
                count += 1
    for figure, cell in zip(json.loads((evaluation / "codec/codec.json").read_text())["figures"],
                            cells(card, "Codec", "held-out renders")[1:], strict=True):  # fmt: skip
        assert near(cell, figure["ours"]), (figure, cell)
        count += 1
    return count


def test_every_figure_is_the_evaluations(tmp_path: Path, make: Callable[..., str]) -> None:
    evaluate(tmp_path)
    card = make()
    assert assert_same(card, tmp_path / "evaluation") > 30
    assert cells(card, "What the joint embedding tells", "tempo") == ["0.31", "0.03"]
    assert cells(card, "Stage 1 by guidance", "flow") == ["3", *["0.12 [0.10, 0.15]"] * 5]
    assert cells(card, "Aims", "key, known grooves: 0.90 of the ceiling")[0].startswith(
        "1.00: 1.00 [1.00, 1.00] of 1.00"
    )
    assert cells(card, "Aims", "key, known grooves: 0.90 of the ceiling")[1] == "too few captions"
    assert cells(card, "Training", "vae_0") == ["20", "loss 1.75"]
    path = tmp_path / "evaluation" / "known" / "evaluation.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said["judged"][0]["figures"][0]["ours"]["value"] = 0.4321
    path.write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(AssertionError, match="tempo"):
        assert_same(card, tmp_path / "evaluation")  # a card that is older than its evaluation is found out
    assert_same(make(), tmp_path / "evaluation")


def test_weights_data_and_training_are_what_the_files_say(tmp_path: Path, make: Callable[..., str]) -> None:
    made_by = {"source": {"class_path": "musegen.data.sources.rendered.Rendered", "init_args": {"songs": 1, "seed": 7}}}
    with ShardWriter(tmp_path / "train-0", made_by) as writer:
        flac = encode_audio(torch.zeros(2, 800), 8000, "flac")
        writer.write(Sample("one", {"captions": ["a piece"], "licence": "CC0-1.0"}, audio=flac))
    (tmp_path / "ATTRIBUTION.md").write_text("# Attribution\n\n- Anna: A Piece, CC-BY-4.0\n", encoding="utf-8")
    card = make(data=[tmp_path / "train-0"], attributions=tmp_path / "ATTRIBUTION.md")
    for part in ("vae", "text2muq", "stable_audio_muq"):
        digest = hashlib.sha256((tmp_path / "model" / part / "model.safetensors").read_bytes()).hexdigest()
        assert cells(card, "Parts", part)[4] == f"`{digest}`"
    assert cells(card, "Data", "train-0")[:3] == ["1", "Rendered (seed 7, songs 1)", "CC0-1.0"]
    assert "- Anna: A Piece, CC-BY-4.0" in section(card, "Attributions")
    assert cells(card, "Training", "vae") == ["12.5", "two links"]
    assert cells(card, "Training", "all")[0] == "15.5"
    assert "On one abacus." in card
    assert "- The codec is random." in section(card, "Aims")


def test_what_was_not_measured_is_said_to_be_missing(make: Callable[..., str]) -> None:
    card = make()
    for title in ("Held-out songs of known grooves", "Songs of grooves never seen", "Flow against regression", "Codec",
                  "Two stages against one", "Stage 1 by guidance", "Stage 1's choices", "To look at", "Data",
                  "Notes in key", "Fréchet distance", "What the joint embedding tells", "Training"):  # fmt: skip
        assert "**Missing:**" in section(card, title), title
    aims = [line for line in section(card, "Aims").splitlines() if ": " in line]
    assert len(aims) == 16
    assert all("| missing | - |" in line for line in aims if not line.startswith("- "))
