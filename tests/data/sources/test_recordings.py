"""Recordings: from a package to shards, with the licence and artist of each track."""

from __future__ import annotations

import runpy
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from corpora import noise
from musegen.data.ingest import debian
from musegen.data.ingest.debian import fetch
from musegen.data.ingest.pack import Packing, pack
from musegen.data.ingest.splits import SplitRule
from musegen.data.random_access import ShardFolder
from musegen.data.shard_index import read_index
from musegen.data.sources.recordings import Recordings, attribution

HEAD = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n"
GAME = (
    HEAD
    + """\
Files: *
Copyright: The Team
License: GPL-2+

Files: base/music/a.ogg base/music/tagged.ogg base/music/jingle.ogg base/music/broken.ogg
Copyright: Ann
 Ben
License: CC-BY-3.0

Files: base/music/b.ogg
Copyright: Cy
License: CC-BY-SA-3.0 or CC0-1.0
"""
)
SONGS = "Copyright (c) 2007 Dora\n\nPermission is hereby granted, free of charge, to any person obtaining a copy\n"


def put(path: Path, seconds: float = 2.0, seed: int = 0, **tags: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with soundfile.SoundFile(path, "w", 44100, 2) as file:
        for name, value in tags.items():
            setattr(file, name, value)
        file.write(noise(seconds, seed=seed))
    return path


def build_deb(place: Path, name: str, tree: Path, copyright_text: str) -> None:
    """A package as Debian's tools make them."""
    doc = tree / "usr" / "share" / "doc" / name
    doc.mkdir(parents=True)
    (doc / "copyright").write_text(copyright_text)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1:2.5-2\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: music\n"
    )
    subprocess.run(
        ["dpkg-deb", "--build", "-Znone", "--root-owner-group", str(tree), str(place)], check=True, capture_output=True
    )


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages of two games, behind an apt-get that takes them from a folder."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is not installed")
    store, loose = tmp_path / "store", tmp_path / "loose"
    store.mkdir()
    tree = tmp_path / "game"
    archive = tree / "usr/share/games/game/base/0music.pk3"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as pk3:
        for number, (name, seconds) in enumerate((("a", 2.0), ("b", 2.0), ("c", 2.0), ("jingle", 0.5))):
            pk3.write(put(loose / f"{name}.ogg", seconds, number), f"music/{name}.ogg")
        tagged = put(loose / "t.ogg", seed=9, title="The Theme", artist="Ann", genre="Ambient", license="any")
        pk3.write(tagged, "music/tagged.ogg")
        pk3.writestr("music/broken.ogg", b"OggS?")
        pk3.writestr("../music/outside.ogg", b"?")
        pk3.write(put(loose / "door.ogg"), "sounds/door.ogg")
    build_deb(store, "game-music", tree, GAME)
    tree = tmp_path / "songs"
    song = tree / "usr/share/games/fof/data/songs/pack/First Song"
    put(song / "song.ogg", seed=20)
    put(song / "guitar.ogg", seed=21)
    put(song / "preview.ogg", seed=22)
    (song / "song.ini").write_text(
        "[song]\nscores = 6\nname = First 100% Song\nartist = Composed and performed by Dora\n"
    )
    build_deb(store, "fof-songs", tree, SONGS)

    real = debian._run

    def run(command: list[str], place: Path) -> str:
        if command[0] != "apt-get":
            return real(command, place)
        found = sorted(store.glob(f"{command[-1]}_*.deb"))
        if not found:
            raise ValueError(f"{' '.join(command)}: Unable to locate package {command[-1]}")
        shutil.copy(found[0], place)
        return ""

    monkeypatch.setattr(debian, "_run", run)
    return tmp_path / "fetched"


def test_only_what_is_asked_for_is_kept(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch("game-music", packages, ["CC-BY", "PD", "Expat"]) == debian.Fetched("game-music", "1:2.5-2", 5, 1)
    music = packages / "game-music/usr/share/games/game/base/music"
    assert sorted(path.name for path in music.iterdir()) == ["a.ogg", "b.ogg", "broken.ogg", "jingle.ogg", "tagged.ogg"]
    fetch("fof-songs", packages, ["Expat"])
    source = Recordings(str(packages), min_seconds=1.0)
    assert {piece.name.rpartition("/")[2]: (piece.facts["licence"], piece.group) for piece in source.pieces} == {
        "song.ogg": ("MIT", "dora"),
        "a.ogg": ("CC-BY-3.0", "game-music: Ann; Ben"),
        "b.ogg": ("CC0-1.0", "cy"),
        "broken.ogg": ("CC-BY-3.0", "game-music: Ann; Ben"),
        "jingle.ogg": ("CC-BY-3.0", "game-music: Ann; Ben"),
        "tagged.ogg": ("CC-BY-3.0", "ann"),
    }
    said = attribution(source)
    assert "“The Theme” by Ann; CC-BY-3.0 <https://creativecommons.org/licenses/by/3.0/>; `usr/share/games/game" in said
    assert "“a” by one or several of Ann; Ben; CC-BY-3.0" in said
    assert "“First 100% Song” by Dora; MIT" in said
    assert "## game-music 1:2.5-2" in said


def test_recordings_become_shards(packages: Path, tmp_path: Path) -> None:
    for name in ("game-music", "fof-songs"):
        fetch(name, packages, ["CC-BY", "GPL", "Expat"])
    source = Recordings(str(packages), ["CC-BY", "Expat"], min_seconds=1.0)
    report = pack(source, tmp_path / "out", Packing(SplitRule(0, 0)))
    skipped = {kind: [skip.name.rpartition("/")[2] for skip in skips] for kind, skips in report.kinds().items()}
    assert skipped == {
        "audio cannot be decoded": ["broken.ogg"],
        "audio is too short": ["jingle.ogg"],
        "licence GPL-2.0-or-later is not asked for": ["c.ogg"],
    }
    assert report.licences == {"CC-BY-3.0": 2, "MIT": 1}
    assert read_index(tmp_path / "out" / "train").licences == ("CC-BY-3.0", "MIT")
    folder = ShardFolder(tmp_path / "out" / "train", ["audio"])
    samples = {folder[place].facts["file"].rpartition("/")[2]: folder[place] for place in range(3)}
    assert samples["tagged.ogg"].captions == [
        "an Ambient piece",
        "music of a video game",
        "Ambient",
    ]
    assert samples["a.ogg"].captions == ["music of a video game"]
    assert samples["a.ogg"].facts["package"] == "game-music 1:2.5-2"
    assert samples["a.ogg"].facts["copyright"] == ["Ann", "Ben"]
    content = samples["song.ogg"].audio
    assert content is not None
    (tmp_path / "song.flac").write_bytes(content)
    heard, _ = soundfile.read(tmp_path / "song.flac")
    parts = [soundfile.read(packages / "fof-songs" / name)[0] for name in source.pieces[0].audio]
    assert len(parts) == 2
    assert np.abs(heard - sum(parts)).max() < 1e-3


def test_the_script_fetches_and_attributes(packages: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script: Any = runpy.run_path(str(Path(__file__).parents[3] / "scripts" / "fetch_recordings.py"))
    (packages / "old").mkdir(parents=True)
    script["fetch_recordings"](["fof-songs"], packages)
    said = capsys.readouterr().out
    assert "fof-songs 1:2.5-2: 1 tracks kept, 0 under other licences" in said
    assert "fof-songs 1:2.5-2, MIT: 1 tracks, 0.0 minutes" in said
    assert "“First 100% Song” by Dora" in (packages / "ATTRIBUTION.md").read_text()


def test_mistakes_are_one_line(packages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="Unable to locate package nothing"):
        fetch("nothing", packages, ["PD"])
    with pytest.raises(ValueError, match=r"expected the name of a package, got '\.\./x'"):
        fetch("../x", packages, ["PD"])
    assert list(packages.iterdir()) == []
    with pytest.raises(ValueError, match=r"expected packages, got none: run scripts/fetch_recordings\.py"):
        Recordings(str(packages))
    fetch("fof-songs", packages, ["Expat"])
    with pytest.raises(ValueError, match="expected other, got none"):
        Recordings(str(packages), packages=["fof-songs", "other"])
    monkeypatch.undo()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OSError, match="expected Debian's tools"):
        fetch("fof-songs", packages, ["PD"])
