"""Fetch music from Debian's packages, without installing them."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from musegen.data.ingest.licence_names import allowed
from musegen.data.sources.recordings import COPYRIGHT, PACKAGE, SONG, is_music, tracks_of
from musegen.files import whole_folder

PACKAGES = (
    "fretsonfire-songs-sectoid",
    "fretsonfire-songs-muldjord",
    "hyperrogue-music",
    "nexuiz-music",
    "singularity-music",
    "supertuxkart-data",
    "ufoai-music",
    "warzone2100-music",
    "wesnoth-1.16-music",
    "0ad-data",
)
"""Packages of games with music of some length."""

ARCHIVES = (".pk3", ".zip")
BESIDE = (SONG,)
"""Descriptions of music that are kept beside it."""


@dataclass(frozen=True)
class Fetched:
    """What came of a package.

    Args:
        package: its name.
        version: of it.
        kept: tracks that may be used under what was asked for.
        others: tracks that may not, and were not kept.
    """

    package: str
    version: str
    kept: int
    others: int


def fetch(package: str, folder: Path, licences: Collection[str]) -> Fetched:
    """Download a package and keep the music that may be used under some licences, with the copyright file.

    Args:
        package: its name, as apt knows it.
        folder: takes a folder of that name, whole or not at all.
        licences: see `Recordings`.

    Raises:
        ValueError: if there is no such package, or it holds no music.
        OSError: if there is no apt, or something cannot be written.
    """
    if not all(sign.isalnum() or sign in "+-." for sign in package) or not package[:1].isalnum():
        raise ValueError(f"expected the name of a package, got {package!r}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as name:
        place = Path(name)
        _run(["apt-get", "download", "--quiet", package], place)
        deb = next(iter(sorted(place.glob("*.deb"))), None)
        if deb is None:
            raise ValueError(f"{package}: expected apt to download it, got nothing")
        version = _run(["dpkg-deb", "--field", deb.name, "Version"], place).strip()
        _run(["dpkg-deb", "--extract", deb.name, "tree"], place)
        return _keep(package, version, place / "tree", folder / package, licences)


def _keep(package: str, version: str, tree: Path, target: Path, licences: Collection[str]) -> Fetched:
    """Move the music of an unpacked package to its place."""
    copyright_file = tree / "usr" / "share" / "doc" / package / COPYRIGHT
    if not copyright_file.is_file():
        raise ValueError(f"{package}: expected usr/share/doc/{package}/{COPYRIGHT}, got none")
    with whole_folder(target) as new:
        shutil.copyfile(copyright_file, new / COPYRIGHT)
        (new / PACKAGE).write_text(json.dumps({"package": package, "version": version}) + "\n")
        for name, file in _music(tree):
            destination = new / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            with file as content, open(destination, "wb") as copy:
                shutil.copyfileobj(content, copy)
        kept = others = 0
        for track in list(tracks_of(new)):
            if track.statement is not None and allowed(track.statement.licence, licences):
                kept += 1
                continue
            others += 1
            for name in track.files:
                (new / name).unlink()
        if not kept + others:
            raise ValueError(f"{package}: expected music in it, got none")
    return Fetched(package, version, kept, others)


def _music(tree: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of music and what describes it, also in archives, whose members lie in the archive's folder."""
    for path in sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(tree)
        if _is_wanted(name.as_posix()):
            yield name.as_posix(), open(path, "rb")  # noqa: SIM115 - who takes it closes it
        elif path.suffix in ARCHIVES and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for member in sorted(archive.namelist()):
                    inside = PurePosixPath(member)
                    if _is_wanted(member) and not inside.is_absolute() and ".." not in inside.parts:
                        yield (name.parent / inside).as_posix(), archive.open(member)


def _is_wanted(name: str) -> bool:
    place = PurePosixPath(name)
    return is_music(name) or place.name in BESIDE or place.suffix == ".music"


def _run(command: Sequence[str], place: Path) -> str:
    try:
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise FileNotFoundError(2, "expected Debian's tools, got none", command[0]) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("E:")] or lines[-1:] or [f"exit status {done.returncode}"]
        raise ValueError(f"{' '.join(command)}: {errors[0].removeprefix('E: ')}")
    return done.stdout
