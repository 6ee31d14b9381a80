"""Your own music: a folder of audio files, with captions beside them, in a table, or from their tags."""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from musegen.data.ingest.audio import SUFFIXES, AudioRules
from musegen.data.ingest.listed import ListedSource, Piece
from musegen.data.ingest.problems import Skip, UnusableError
from musegen.data.ingest.sentences import Known, describe
from musegen.data.ingest.tables import read_json_lines, read_lines, read_table
from musegen.data.ingest.tags import read_tags
from musegen.data.ingest.texts import clean, key_of, number, same_artist, several

UNKNOWN = "unknown"
CAPTIONS = ("caption", "text", "description", "prompt")
"""Names under which tables and sidecars say a caption; ``captions`` holds several, as a list or by name."""
FILES = ("file", "file_name", "filename", "path", "audio", "location")
"""Names under which tables say which file a row is about, relative to the folder."""
TABLES = ("metadata.jsonl", "metadata.csv", "captions.jsonl", "captions.csv")
OURS = frozenset({"seconds", "windows", "latent_rate", "seed", "notes", "file_rate", "bandwidth", "license"})
"""Facts that musegen measures, or gives a meaning of its own."""
GROUPS = ("group", "artist", "album")


class Folder(ListedSource):
    """Audio files of any kind that libsndfile reads (WAV, FLAC, OGG, Opus, MP3, AIFF …), in folders of any depth.

    What is known of ``a/song.flac``, the later in this list counting more: its embedded tags; its rows in a table; the
    sidecar ``a/song.json``, an object with ``caption`` or ``captions`` and any facts; the sidecar ``a/song.txt``, a
    caption a line. All captions are kept. Where there is none, captions are built of ``genre``, ``bpm`` or ``tempo``,
    ``key``, ``mood``, ``tags`` and ``instruments``, as far as they are known.

    Files of one ``group``, else artist, else album, else of one folder below the top, stay on one side of the split.

    Args:
        folder: of the music.
        table: a CSV, TSV or JSON Lines file with a column ``file`` and a column ``caption``, relative to the folder;
            null takes ``metadata.jsonl``, ``metadata.csv``, ``captions.jsonl`` or ``captions.csv`` where it is there.
            Rows of one file become its captions.
        licence: SPDX name of the licence of files that name none themselves.
        uncaptioned: ``skip`` files of which nothing can be said, or ``keep`` them, for training a codec.
        sample_rate: to resample to, Hz; null keeps the files' own.
        min_seconds: shorter files are left out.
    """

    def __init__(
        self,
        folder: str,
        table: str | None = None,
        licence: str = UNKNOWN,
        uncaptioned: str = "skip",
        sample_rate: int | None = 44100,
        min_seconds: float = 1.0,
    ) -> None:
        if uncaptioned not in ("skip", "keep"):
            raise ValueError(f"uncaptioned: expected 'skip' or 'keep', got {uncaptioned!r}")
        self.folder, self.table, self.licence, self.uncaptioned = Path(folder), table, licence, uncaptioned
        super().__init__(AudioRules(sample_rate, min_seconds))

    def list_pieces(self, lost: list[Skip]) -> list[Piece]:
        """See `ListedSource`."""
        if not self.folder.is_dir():
            raise FileNotFoundError(2, "expected a folder of audio files, got none", str(self.folder))
        rows = self._rows(lost)
        there = {
            _shown(path.relative_to(self.folder)): path
            for path in sorted(self.folder.rglob("*"))
            if path.suffix.casefold() in SUFFIXES and path.is_file() and not path.name.startswith(".")
        }
        if not there and not rows:
            raise ValueError(f"{self.folder}: expected audio files ({', '.join(sorted(SUFFIXES))}), got none")
        spelt = {unicodedata.normalize("NFC", name): name for name in there}
        of_file: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
        for name, said in rows.items():  # a table may spell an accent otherwise than the disk does
            of_file[spelt.get(unicodedata.normalize("NFC", name), name)] += said
        paths = {**{name: self.folder / name for name in of_file}, **there}
        stems = Counter(map(_stem, paths))
        return [self._piece(name, paths[name], of_file.get(name, []), stems) for name in sorted(paths)]

    def _rows(self, lost: list[Skip]) -> dict[str, list[Mapping[str, Any]]]:
        """The table's rows by file."""
        if self.table is not None and not (self.folder / self.table).is_file():
            raise FileNotFoundError(2, "expected a table of captions, got none", str(self.folder / self.table))
        names = TABLES if self.table is None else (self.table,)
        path = next((self.folder / name for name in names if (self.folder / name).is_file()), None)
        found: dict[str, list[Mapping[str, Any]]] = {}
        if path is None:
            return found
        for line, row in _table(path, lost):
            file = next((text for field in FILES if (text := clean(row.get(field)))), None)
            if file is None:
                lost.append(Skip(line, "no file", f"expected one of the columns {', '.join(FILES)}"))
                continue
            place = PurePosixPath(file.replace("\\", "/"))
            if place.is_absolute() or ".." in place.parts:
                lost.append(Skip(f"{line} ({file})", "file lies outside the folder"))
                continue
            found.setdefault(place.as_posix(), []).append({key: one for key, one in row.items() if key not in FILES})
        return found

    def _piece(self, name: str, path: Path, rows: Sequence[Mapping[str, Any]], stems: Mapping[str, int]) -> Piece:
        wrong = None
        said: dict[str, Any] = dict(read_tags(path))
        captions: list[str] = []
        notes: list[str] = []
        for row in [*rows, *self._sidecar(path, notes)]:
            captions += _captions(row)
            said |= {
                key: one for key, one in row.items() if one not in (None, "") and key not in (*CAPTIONS, "captions")
            }
        if (beside := path.with_suffix(".txt")).is_file():
            captions = [*(text for _, line in read_lines(beside) if (text := clean(line))), *captions]
        unique = list(dict.fromkeys(captions))
        named = {"main" if not place else f"caption_{place + 1}": text for place, text in enumerate(unique)}
        named = named or describe(_known(said))
        if not named and self.uncaptioned == "skip":
            without = "none beside it, none in a table, no tags to make one of"
            wrong = UnusableError("no caption", "; ".join([*notes, without]))
        facts = {key: one for key, one in said.items() if key not in OURS and _is_plain(one)} | {
            "source": "folder",
            "file": name,
        }
        facts["licence"] = clean(said.get("licence") or said.get("license")) or self.licence
        facts |= {"notes": notes} if notes else {}
        key = key_of(_stem(name) if stems[_stem(name)] == 1 else name, "f-")
        return Piece(key, name, _group(name, said), [str(path)], named, facts, wrong=wrong)

    @staticmethod
    def _sidecar(path: Path, notes: list[str]) -> Iterator[Mapping[str, Any]]:
        beside = path.with_suffix(".json")
        if not beside.is_file():
            return
        try:
            content = json.loads(beside.read_bytes().decode("utf-8-sig", "replace"))
        except (ValueError, RecursionError):
            content = None
        if isinstance(content, dict):
            yield content
        elif isinstance(content, list):
            yield {"captions": content}
        else:
            notes.append("its .json cannot be read")


def _table(path: Path, lost: list[Skip]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return read_json_lines(path, lost) if path.suffix in (".jsonl", ".json") else read_table(path, lost)


def _captions(row: Mapping[str, Any]) -> list[str]:
    """All captions of a row: ``caption``, then ``captions``, of which ``main`` comes first."""
    several_ = row.get("captions")
    if isinstance(several_, Mapping):
        several_ = [several_[name] for name in sorted(several_, key=lambda name: (name != "main", str(name)))]
    values = [row.get(name) for name in CAPTIONS] + (several_ if isinstance(several_, list) else [several_])
    return [text for value in values if (text := clean(value))]


def _known(said: Mapping[str, Any]) -> Known:
    """What captions can be built of."""
    tempo = next((one for name in ("tempo", "bpm") if (one := number(said.get(name)))), None)
    return Known(
        genres=several(said.get("genre") or said.get("genres")),
        tags=[*several(said.get("mood")), *several(said.get("tags"))],
        tempo=tempo,
        key=clean(said.get("key")),
        instruments=several(said.get("instruments")),
    )


def _shown(path: Path) -> str:
    """A path as text that UTF-8 can hold, whatever its bytes are."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def _stem(name: str) -> str:
    """A path without its suffix."""
    return PurePosixPath(name).with_suffix("").as_posix()


def _group(name: str, said: Mapping[str, Any]) -> str:
    for field in GROUPS:
        if text := clean(said.get(field)):
            return f"{field}: {same_artist(text)}"
    parts = PurePosixPath(name).parts
    return f"folder: {parts[0]}" if len(parts) > 1 else f"file: {PurePosixPath(name).stem}"


def _is_plain(value: Any) -> bool:
    """Whether strict JSON can hold a fact."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except (ValueError, TypeError):
        return False
    return True
