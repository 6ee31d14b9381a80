"""musegen evaluate from the command line: folders of clips, of shards, of nothing; a codec; mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from musegen.audio import encode_audio
from musegen.checkpoints import save_model
from musegen.cli import main
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.metrics.music import decode, read_music
from music_made import RATE, chords, write_clip, write_songs
from refusal import refusal
from tiny import vae

TEMPI = (100, 110, 120, 130)
KEYS = (("C", 0, "major"), ("D", 2, "minor"), ("E", 4, "major"), ("F#", 6, "minor"))


def evaluate(folder: Path, *arguments: str) -> list[dict]:
    """Run the command; the figures of each folder, by name."""
    out = folder / "report"
    main(["evaluate", *arguments, "--out", str(out), "--cache", str(folder / "heard")])
    said = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return [{figure["name"]: figure for figure in one["figures"]} for one in said["judged"]]


def test_true_captions_are_told_from_false_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right = write_songs(tmp_path / "right", TEMPI, KEYS)
    wrong = write_songs(tmp_path / "wrong", TEMPI, KEYS, wrong=True)
    arguments = (str(right), str(wrong), "--metrics", "tempo,key,clipping", "--truth", str(right))
    good, bad = evaluate(tmp_path, *arguments)
    name = "tempo ±4 %"
    assert (good[name]["ours"]["value"], bad[name]["ours"]["value"]) == (1.0, 0.0)
    assert (good["key"]["ours"]["value"], bad["key"]["ours"]["value"]) == (1.0, 0.0)
    assert good["key"]["ceiling"]["value"] == 1.0
    assert good["key"]["chance"]["value"] == 0.0
    assert good["clipped"]["ours"]["value"] == 0.0
    printed = capsys.readouterr()
    assert "key or relative" in printed.out
    assert "8 had been heard before" in printed.err or "4 had been heard before" in printed.err
    for file in ("agreement.png", "tempo.png", "key.png"):
        assert (tmp_path / "report" / file).read_bytes().startswith(b"\x89PNG")
    assert "| key |" in (tmp_path / "report" / "evaluation.md").read_text(encoding="utf-8")
    assert evaluate(tmp_path, *arguments) == [good, bad]
    assert "0 clips heard" in capsys.readouterr().err


def test_shards_tell_the_truth_by_their_facts(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "shards", {"source": "test"}) as writer:
        for number, (_, tonic, mode) in enumerate(KEYS):
            audio = torch.from_numpy(chords(tonic, mode, 8))[None]
            facts = {"captions": ["a piece"], "key": f"{KEYS[number][0]} {mode}", "licence": "CC0-1.0"}
            writer.write(Sample(f"s{number}", facts, audio=encode_audio(audio, RATE, "flac")))
    (found,) = evaluate(tmp_path, str(tmp_path / "shards"), "--metrics", "key", "--limit", "3")
    assert (found["key"]["ours"]["value"], found["key"]["ours"]["count"]) == (1.0, 3)


def test_hostile_clips_are_judged_or_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "clips"
    write_clip(folder, "silent", np.zeros(RATE), "in C major at 100 bpm")
    write_clip(folder, "short", np.full(10, 0.1), "in C major at 100 bpm")
    write_clip(folder, "untold", chords(0, "major", 4), None)
    (found,) = evaluate(tmp_path, str(folder), "--metrics", "tempo,key,loudness,silence")
    assert found["key"]["ours"]["value"] == 0.0
    assert found["key"]["ours"]["count"] == 2
    assert found["silent"]["ours"]["value"] == pytest.approx(1 / 3)
    (folder / "broken.wav").write_bytes(b"RIFF no music")
    refused = refusal(tmp_path, capsys, monkeypatch)
    assert "broken.wav: expected an audio file" in refused("evaluate", folder, "--metrics", "key", "--cache", "null")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected a folder of music"),
        (["nowhere"], "expected a folder of music, got none"),
        (["EMPTY"], "expected audio files or shards of audio, got none"),
        (["EMPTY", "--metrics", "beauty"], "unknown metric 'beauty'; expected one of"),
        (["EMPTY", "--joint", "beauty"], "unknown embedder 'beauty'; expected one of"),
        (["EMPTY", "--limit", "0"], "limit: expected 1 or more"),
        (["--codec", "default"], "--codec MODEL --audio DIR together"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "EMPTY").mkdir()
    assert message in refusal(tmp_path, capsys, monkeypatch)("evaluate", *arguments)


def test_a_codec_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_clip(tmp_path / "music", "chords", chords(0, "major", 2), None)
    write_clip(tmp_path / "music", "silent", np.zeros(RATE), None)
    save_model(vae(), tmp_path / "vae", licences=[])
    main(["evaluate", "--codec", str(tmp_path / "vae"), "--audio", str(tmp_path / "music"), "--out", str(tmp_path)])
    said = json.loads((tmp_path / "codec.json").read_text(encoding="utf-8"))
    names = [figure["name"] for figure in said["figures"]]
    assert names == ["SI-SDR, dB", "SI-SDR, median", "multi-resolution STFT", "mel"]
    assert said["figures"][0]["ours"]["count"] == 1
    assert said["figures"][0]["ours"]["value"] < 5, "random weights give nothing back"
    assert "1 clips" in capsys.readouterr().out


def test_what_a_codec_gave_back_is_kept_with_its_captions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    music = write_songs(tmp_path / "music", TEMPI[:2], KEYS[:2])
    save_model(vae(), tmp_path / "vae", licences=[])
    main(["evaluate", "--codec", str(tmp_path / "vae"), "--audio", str(music), "--seconds", "4",
          "--keep", str(tmp_path / "kept"), "--out", str(tmp_path)])  # fmt: skip
    there, kept = read_music(music), read_music(tmp_path / "kept")
    assert [piece.caption for piece in kept] == [piece.caption for piece in there]
    assert [piece.wanted.tempo for piece in kept] == list(TEMPI[:2])
    assert decode(kept[0].content(), "kept").seconds == pytest.approx(4.0)
    assert "--keep: expected together with --codec" in refusal(tmp_path, capsys, monkeypatch)(
        "evaluate", music, "--keep", "elsewhere"
    )
