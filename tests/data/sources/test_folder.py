"""A folder of one's own: captions from everywhere, and everything that lies about in such folders."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from corpora import noise, put_audio, put_lines
from musegen.data.ingest.pack import Packing, pack
from musegen.data.ingest.splits import SplitRule
from musegen.data.random_access import ShardFolder
from musegen.data.sources.folder import Folder
from musegen.data.verify import verify_folder


def put_tagged(path: Path, seed: int = 0, **tags: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 44100, 2) as file:
        for name, value in tags.items():
            setattr(file, name, value)
        file.write(noise(1.5, seed=seed))


def pieces(folder: Path, **how: Any) -> dict[str, Any]:
    return {piece.name: piece for piece in Folder(str(folder), **how).pieces}


def test_names_are_written_in_many_ways(tmp_path: Path) -> None:
    """Decomposed, as a Mac's archives have them, and in no Unicode at all."""
    music = tmp_path / "music"
    put_audio(music / "Bjo\u0308rk.wav", seed=1)
    (music / "metadata.csv").write_text("file,caption\nBj\u00f6rk.wav,a waltz\nnone/\u00e9.wav,x\n", encoding="utf-8")
    put_audio(music / "other.wav", seed=2)
    latin = music / os.fsdecode(b"caf\xe9") / os.fsdecode(b"caf\xe9.wav")
    latin.parent.mkdir()
    (music / "other.wav").rename(latin)
    latin.with_suffix(".txt").write_text("a tango")
    assert {name: piece.captions for name, piece in pieces(music).items()} == {
        "Bjo\u0308rk.wav": {"main": "a waltz"},
        "caf\ufffd/caf\ufffd.wav": {"main": "a tango"},
        "none/\u00e9.wav": {"main": "x"},
    }
    report = pack(Folder(str(music)), tmp_path / "out", Packing(SplitRule(0, 0)))
    assert report.kept == {"train": 2}
    assert {kind: len(skips) for kind, skips in report.kinds().items()} == {"no audio file": 1}


def test_captions_come_from_sidecars_tables_and_tags(tmp_path: Path) -> None:
    for number, name in enumerate(("one.wav", "two.mp3", "three.flac", "deep/er/four.ogg", "six.wav")):
        put_audio(tmp_path / name, 1.5, 44100, 2, seed=number)
    (tmp_path / "one.txt").write_bytes("a quiet waltz\n\n  a slow   waltz \nune valse douc\xe9\n".encode("cp1252"))
    (tmp_path / "two.json").write_text(
        json.dumps({"captions": {"short": "a tune", "main": "a fast tune"}, "bpm": 150, "licence": "CC0-1.0"})
    )
    (tmp_path / "metadata.csv").write_text(
        "file_name,caption,artist\n"
        '"three.flac","drums, loud",Ann\n'
        "three.flac,more drums,Ann\n"
        "one.wav,from the table,Ann\n"
        "missing.wav,never there,Bob\n"
        "../outside.wav,elsewhere,Bob\n"
        ",no file,Bob\n"
        "too,many,columns,here\n"
    )
    put_tagged(tmp_path / "five.flac", 5, genre="Bossa Nova", artist="Carla", license="CC-BY-4.0", title="Five")
    found = pieces(tmp_path, licence="MIT")
    assert list(found) == [
        "deep/er/four.ogg", "five.flac", "missing.wav", "one.wav", "six.wav", "three.flac", "two.mp3",
    ]  # fmt: skip
    assert found["one.wav"].captions == {
        "main": "a quiet waltz",
        "caption_2": "a slow waltz",
        "caption_3": "une valse doucé",
        "caption_4": "from the table",
    }
    assert found["two.mp3"].captions == {"main": "a fast tune", "caption_2": "a tune"}
    assert found["three.flac"].captions == {"main": "drums, loud", "caption_2": "more drums"}
    assert found["five.flac"].captions["main"] == "a Bossa Nova piece"
    licences = {name: piece.facts["licence"] for name, piece in found.items()}
    assert (licences["two.mp3"], licences["five.flac"], licences["one.wav"]) == ("CC0-1.0", "CC-BY-4.0", "MIT")
    assert found["two.mp3"].facts["bpm"] == 150
    groups = {name: piece.group for name, piece in found.items()}
    assert groups["one.wav"] == groups["three.flac"] == "artist: ann"
    assert groups["deep/er/four.ogg"] == "folder: deep"
    assert groups["two.mp3"] == "file: two"
    report = pack(Folder(str(tmp_path)), tmp_path.parent / "out", Packing(SplitRule(0, 0)))
    assert {kind: len(skips) for kind, skips in report.kinds().items()} == {
        "no caption": 2, "no audio file": 1, "file lies outside the folder": 1, "no file": 1, "line cannot be read": 1,
    }  # fmt: skip
    assert report.kept == {"train": 4}


def test_a_table_of_lines_and_one_by_name(tmp_path: Path) -> None:
    put_audio(tmp_path / "clips" / "a.wav")
    put_audio(tmp_path / "clips" / "b.wav", seed=1)
    put_lines(
        tmp_path / "my.jsonl", [{"path": "clips/a.wav", "text": "x"}, {"path": "clips\\b.wav", "text": "y"}, b"{"]
    )
    found = pieces(tmp_path, table="my.jsonl")
    assert {name: piece.captions for name, piece in found.items()} == {
        "clips/a.wav": {"main": "x"},
        "clips/b.wav": {"main": "y"},
    }
    with pytest.raises(OSError, match="expected a table of captions"):
        pieces(tmp_path, table="no.csv")


def test_files_that_nothing_is_known_of_may_train_a_codec(tmp_path: Path) -> None:
    put_audio(tmp_path / "in" / "a.wav", 1.5, 44100, 2)
    with pytest.raises(ValueError, match="got nothing of 1 pieces: no caption 1"):
        pack(Folder(str(tmp_path / "in")), tmp_path / "out", Packing())
    report = pack(Folder(str(tmp_path / "in"), uncaptioned="keep"), tmp_path / "out", Packing(SplitRule(0, 0)))
    assert report.uncaptioned == 1
    assert "without caption 1: good for the codec only" in str(report)
    with pytest.raises(ValueError, match="uncaptioned: expected 'skip' or 'keep', got 'no'"):
        Folder(str(tmp_path), uncaptioned="no")


def test_ugly_files_are_named_and_the_others_packed(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    put_audio(folder / "good.wav", 1.5, 44100, 2)
    put_audio(folder / "good.flac", 1.5, 44100, 2, seed=1)
    put_audio(folder / "ünï côdé (1).wav", 1.5, 44100, 2, seed=2)
    put_audio(folder / ("long " * 40 + ".wav"), 1.5, 48000, 1, seed=3)
    put_audio(folder / "eight.wav", 1.5, 11025, 1, seed=4, subtype="PCM_U8")
    put_audio(folder / "many.wav", 1.5, 44100, 6, seed=5)
    (folder / "copy.wav").write_bytes((folder / "good.wav").read_bytes())
    (folder / "zero.mp3").write_bytes(b"")
    (folder / "page.ogg").write_bytes(b"<html>")
    soundfile.write(folder / "nan.wav", np.full((44100, 2), np.nan, np.float32), 44100, subtype="FLOAT")
    soundfile.write(folder / "empty.wav", noise(0), 44100)
    put_audio(folder / "short.wav", 0.1)
    put_audio(folder / "badside.wav", seed=6)
    (folder / "badside.json").write_text("{")
    put_audio(folder / "nanside.wav", seed=7)
    (folder / "nanside.json").write_text('{"caption": "\\ud83d half", "tempo": NaN, "seed": "x", "windows": 3}')
    put_audio(folder / "mute.wav", seed=8)
    (folder / "mute.json").write_text("{")
    (folder / "dir.wav").mkdir()
    (folder / ".hidden.wav").write_bytes(b"?")
    (folder / "notes.doc").write_bytes(b"?")
    for path in folder.glob("*.*"):
        if path.suffix in (".wav", ".flac", ".mp3", ".ogg") and path.is_file() and path.stem not in ("nanside", "mute"):
            path.with_suffix(".txt").write_text(f"about {path.stem[:5]}")
    source = Folder(str(folder))
    report = pack(source, tmp_path / "out", Packing(SplitRule(0, 0)))
    assert {kind: sorted(skip.name for skip in skips) for kind, skips in report.kinds().items()} == {
        "audio is there already, under another name": ["good.wav"],
        "audio file is empty": ["zero.mp3"],
        "audio cannot be decoded": ["page.ogg"],
        "audio holds NaN or infinity": ["nan.wav"],
        "audio is empty": ["empty.wav"],
        "audio is too short": ["short.wav"],
        "no caption": ["mute.wav"],
    }
    assert report.kinds()["no caption"][0].detail.startswith("its .json cannot be read; none beside it")
    assert report.kinds()["audio cannot be decoded"][0].detail == "Format not recognised"
    assert report.total == 8
    assert report.noted["its .json cannot be read"] == ["badside.wav"]
    assert report.noted["6 channels: the first two"] == ["many.wav"]
    assert verify_folder(tmp_path / "out" / "train").problems == []
    shards = ShardFolder(tmp_path / "out" / "train", ["audio"])
    facts = {shards[place].facts["file"]: shards[place].facts for place in range(len(shards))}
    assert facts["nanside.wav"]["captions"] == {"main": "? half"}
    assert not {"tempo", "seed", "windows"} & set(facts["nanside.wav"])


def test_a_folder_without_music_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected audio files \(\.aif, .*got none"):
        Folder(str(tmp_path))
    with pytest.raises(OSError, match="expected a folder of audio files"):
        Folder(str(tmp_path / "nowhere"))
