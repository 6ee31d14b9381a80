"""Recorded music from Debian's packages of games, with the licence and the artist of each track."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from musegen.data.ingest.audio import SUFFIXES, AudioRules
from musegen.data.ingest.copyright_file import CopyrightFile, Statement
from musegen.data.ingest.licence_names import allowed, shown
from musegen.data.ingest.listed import ListedSource, Piece
from musegen.data.ingest.problems import Skip
from musegen.data.ingest.sentences import Known, describe
from musegen.data.ingest.tags import read_tags
from musegen.data.ingest.texts import clean, key_of, same_artist, several

DEFAULT_LICENCES = ("CC-BY", "PD", "Expat")
MUSIC = re.compile(r"(?:^|[^a-z])(?:music|songs?|soundtracks?|cdtracks)(?:$|[^a-z])", re.IGNORECASE)
"""Folders whose audio is music, not the sound of a door."""

SONG = "song.ini"
TRACKS = ("song", "guitar", "rhythm", "bass", "drums", "keys", "vocals")
"""A game about playing along keeps a song as tracks of one folder, which sound together."""

COPYRIGHT, PACKAGE = "copyright", "package.json"


@dataclass(frozen=True)
class Track:
    """One piece of a package, and what its copyright file says of it.

    Args:
        name: package and path.
        files: that sound together, relative to the package.
        statement: None where the copyright file is silent, or says different things.
        said: title, artist and other tags.
    """

    name: str
    files: tuple[str, ...]
    statement: Statement | None
    said: dict[str, str]


class Recordings(ListedSource):
    """What ``scripts/fetch_recordings.py`` fetched.

    Captions are built of the genre that a file's tags name; there is little more, so these are for the codec first.
    Tracks are grouped by artist, or, where none is named, by those who hold the copyright.

    Args:
        folder: holds a folder for each package, with its copyright file.
        licences: to keep: families (``CC-BY``, ``CC-BY-SA``, ``GPL``; ``PD`` is the public domain and CC0) or names
            with a version. Of a track under several at once all must be here; of a choice one.
        packages: to take; null for all.
        sample_rate: to resample to, Hz; null keeps the files' own.
        min_seconds: shorter tracks (jingles, mostly) are left out.
    """

    def __init__(
        self,
        folder: str,
        licences: Sequence[str] = DEFAULT_LICENCES,
        packages: Sequence[str] | None = None,
        sample_rate: int | None = 44100,
        min_seconds: float = 20.0,
    ) -> None:
        self.folder, self.licences, self.packages = Path(folder), licences, packages
        super().__init__(AudioRules(sample_rate, min_seconds))

    def list_pieces(self, lost: list[Skip]) -> list[Piece]:
        """See `ListedSource`."""
        if not self.folder.is_dir():
            raise FileNotFoundError(2, "expected the folder of scripts/fetch_recordings.py, got none", str(self.folder))
        there = sorted(path.parent for path in self.folder.glob(f"*/{COPYRIGHT}"))
        missing = sorted(set(self.packages or ()) - {path.name for path in there})
        if missing or not there:
            wanted = ", ".join(missing) or "packages"
            raise ValueError(f"{self.folder}: expected {wanted}, got none: run scripts/fetch_recordings.py")
        pieces = []
        for package in there:
            if self.packages is None or package.name in self.packages:
                pieces += [piece for track in tracks_of(package) if (piece := self._piece(package, track, lost))]
        return pieces

    def _piece(self, package: Path, track: Track, lost: list[Skip]) -> Piece | None:
        statement = track.statement
        if statement is None or not statement.licence:
            lost.append(Skip(track.name, "its copyright file names no licence"))
            return None
        licence = allowed(statement.licence, self.licences)
        if licence is None:
            lost.append(Skip(track.name, f"licence {shown(statement.licence)} is not asked for"))
            return None
        artist = track.said.get("artist") or (statement.holders[0] if len(statement.holders) == 1 else None)
        facts: dict[str, Any] = {
            **track.said,
            "source": "recordings",
            "licence": licence,
            "package": _package(package),
            "file": track.files[0],
            "copyright": list(statement.holders),
        }
        facts |= {"artist": artist} if artist else {}
        group = same_artist(artist) if artist else f"{package.name}: {'; '.join(statement.holders)}"
        captions = describe(Known(genres=several(track.said.get("genre"))))
        captions["game" if captions else "main"] = "music of a video game"
        audio = [str(package / file) for file in track.files]
        key = key_of(PurePosixPath(track.name).with_suffix("").as_posix(), "rec-")
        return Piece(key, track.name, group, audio, captions, facts)


def tracks_of(package: Path, names: Sequence[str] | None = None) -> Iterator[Track]:
    """The music of an unpacked package, in order.

    Args:
        package: folder with a copyright file.
        names: paths of its files; None looks.
    """
    text = (package / COPYRIGHT).read_text(encoding="utf-8", errors="replace")
    said = CopyrightFile(text)
    if names is None:
        names = sorted(path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file())
    audio = [name for name in names if is_music(name)]
    songs = {PurePosixPath(name).parent.as_posix() for name in names if PurePosixPath(name).name == SONG}
    for name in audio:
        place = PurePosixPath(name)
        files = (name,)
        if place.parent.as_posix() in songs:
            if place.stem != TRACKS[0]:
                continue
            beside = {PurePosixPath(one).stem: one for one in audio if PurePosixPath(one).parent == place.parent}
            files = tuple(beside[track] for track in TRACKS if track in beside)
        yield Track(f"{package.name}/{name}", files, said.of(name), _said(package / name))


def is_music(name: str) -> bool:
    """Whether a file of a package is music, by its path."""
    place = PurePosixPath(name)
    return place.suffix.casefold() in SUFFIXES and any(MUSIC.search(part) for part in place.parts[:-1])


def attribution(source: Recordings) -> str:
    """What has to be said of the tracks that a source keeps: title, artist, licence, origin; Markdown."""
    lines = [
        "# Attribution",
        "",
        "Recordings from Debian's packages; only sample rate, level and file format were changed.",
        "The full terms are in the file `copyright` of each package.",
    ]
    package = None
    for piece in sorted(source.pieces, key=lambda piece: piece.name):
        facts = piece.facts
        if facts["package"] != package:
            package = facts["package"]
            lines += ["", f"## {package}", ""]
        title = facts.get("title") or PurePosixPath(facts["file"]).stem
        who = facts.get("artist") or "; ".join(facts["copyright"]) or "unknown"
        holders = "" if facts.get("artist") else "one or several of "
        lines.append(f"- “{title}” by {holders}{who}; {_linked(facts['licence'])}; `{facts['file']}`")
        if facts.get("artist") and list(facts["copyright"]) != [facts["artist"]]:
            lines.append(f"  (copyright: {'; '.join(facts['copyright'])})")
    return "\n".join(lines) + "\n"


def _linked(licence: str) -> str:
    """A licence with the address of its text, where it is one of Creative Commons."""
    if found := re.fullmatch(r"CC-(BY[A-Z-]*)-(\d\.\d)", licence):
        return f"{licence} <https://creativecommons.org/licenses/{found[1].casefold()}/{found[2]}/>"
    return licence


def _package(package: Path) -> str:
    """Name and version."""
    try:
        version = json.loads((package / PACKAGE).read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return package.name
    return f"{package.name} {version}"


def _said(path: Path) -> dict[str, str]:
    """Tags of a file, or of the description beside it."""
    said = {name: text for name, text in read_tags(path).items() if name not in ("comment", "license", "copyright")}
    if (song := path.with_name(SONG)).is_file():
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(song.read_text(encoding="utf-8", errors="replace"))
        except configparser.Error:
            return said
        for ours, theirs in (("title", "name"), ("artist", "artist"), ("genre", "genre")):
            if text := clean(parser.get("song", theirs, fallback=None)):
                said[ours] = re.sub(r"^(?:composed|performed|written| and |,)+ by ", "", text, flags=re.IGNORECASE)
    if (music := path.with_suffix(".music")).is_file():
        found = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', music.read_text(encoding="utf-8", errors="replace")))
        for ours, theirs in (("title", "title"), ("artist", "composer")):
            if text := clean(found.get(theirs)):
                said[ours] = text
    return said
