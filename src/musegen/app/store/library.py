"""The library: clips in a folder, what is known of them in SQLite beside it.

A clip is its two files, written whole and under their own names, and then a row. What is killed in between leaves files
that no row names, which `musegen.app.store.sweep` removes later; a row whose files are missing never comes to be. Any
number of threads, windows and processes may use a library at once.
"""

from __future__ import annotations

import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musegen.app.store.record import (
    Lineage,
    Record,
    check_id,
    check_rating,
    check_tags,
    check_title,
    shortened,
    words_of,
)
from musegen.app.store.schema import connect, prepare, transaction
from musegen.app.store.search import Query
from musegen.checkpoints import read_json
from musegen.files import prepare_folder

SUFFIX = ".flac"
Write = Callable[[Path], Mapping[str, Any]]
"""Writes an audio file, and beside it the JSON; gives what the JSON says."""

SELECT = "SELECT clips.*, (SELECT group_concat(tag, char(31)) FROM tags WHERE clip = clips.id) AS all_tags FROM clips "


@dataclass(frozen=True)
class Heard:
    """What was found in a clip's audio.

    Args:
        space: which embedder's space both vectors lie in.
        told: the unit vector that it was generated from, ``[dim]``; None where none was.
        heard: the unit vector of its audio, ``[dim]``; None without an embedder.
        closeness: cosine between ``heard`` and what was asked for; None where that is not known.
        tempo: beats per minute.
        key: such as ``D minor``.
        peaks: its waveform, unsigned bytes.
        mel: its mel-spectrogram, a PNG.
    """

    space: str
    told: np.ndarray | None
    heard: np.ndarray | None
    closeness: float | None
    tempo: float | None
    key: str
    peaks: bytes
    mel: bytes


class Library:
    """A folder of clips.

    Args:
        folder: made if missing.

    Raises:
        OSError: if it cannot be written to.
        ValueError: if its database is none, or of a later version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()
        self.clips = self.folder / "clips"
        prepare_folder(self.clips)
        self.database = self.folder / "library.sqlite"
        prepare(self.database)

    def audio_path(self, id: str) -> Path:
        """Where a clip's audio lies.

        Raises:
            ValueError: if that is no id.
        """
        return self.clips / f"{check_id(id)}{SUFFIX}"

    def json_path(self, id: str) -> Path:
        """Where a clip's JSON lies.

        Raises:
            ValueError: if that is no id.
        """
        return self.clips / f"{check_id(id)}.json"

    def add(
        self,
        write: Write,
        heard: Heard,
        *,
        kind: str = "generated",
        title: str = "",
        lineage: Lineage | None = None,
        keep: bool = False,
        tags: Sequence[str] = (),
    ) -> Record:
        """Add a clip.

        Args:
            write: writes the audio file that it is told, and the JSON beside it, whole; gives what the JSON says.
            heard: what was found in it.
            kind: ``generated`` or ``imported``.
            title: by default its prompt.
            lineage: where it comes from.
            keep: whether it is in the library at once, or a take at first.
            tags: to begin with.

        Raises:
            OSError: if a file cannot be written; nothing is left of it then.
            ValueError: for a title or tags out of range.
        """
        id = uuid.uuid4().hex
        title, tags = title and check_title(title), check_tags(tags)
        files = [self.audio_path(id), self.json_path(id)]
        try:
            said = write(files[0])
            _sync_folder(self.clips)
            self._insert(id, said, heard, kind, title, lineage or Lineage(), keep, tags)
        except BaseException:
            for path in files:
                path.unlink(missing_ok=True)
            raise
        return self.get(id)

    def _insert(
        self,
        id: str,
        said: Mapping[str, Any],
        heard: Heard,
        kind: str,
        title: str,
        lineage: Lineage,
        keep: bool,
        tags: Sequence[str],
    ) -> None:
        prompt, now = str(said.get("prompt") or ""), time.time()
        title = title or shortened(prompt)
        row = {
            "id": id,
            "kind": kind,
            "title": title,
            "prompt": prompt,
            "negative": str((said.get("settings") or {}).get("negative") or ""),
            "seed": said.get("seed"),
            "model": str(said.get("model") or ""),
            "seconds": said["samples"] / said["sample_rate"],
            "audio_sha256": said["audio_sha256"],
            "file_sha256": said["file_sha256"],
            "created": now,
            "kept": now if keep else None,
            "closeness": heard.closeness,
            "tempo": heard.tempo,
            "key": heard.key,
            "lineage": lineage.text(),
            "words": words_of(title, prompt, heard.key, *tags),
        }
        with transaction(self.database) as database:
            names = ", ".join(row)
            database.execute(f"INSERT INTO clips ({names}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
            database.execute("INSERT INTO pictures VALUES (?, ?, ?)", [id, heard.peaks, heard.mel])
            for role, vector in (("told", heard.told), ("heard", heard.heard)):
                if vector is not None:
                    numbers = np.ascontiguousarray(vector, "<f4").tobytes()
                    database.execute("INSERT INTO vectors VALUES (?, ?, ?, ?)", [id, role, heard.space, numbers])
            _write_tags(database, id, tags)

    def get(self, id: str) -> Record:
        """One clip, deleted or not.

        Raises:
            ValueError: if there is none of that id.
        """
        with connect(self.database) as database:
            row = database.execute(f"{SELECT} WHERE id = ?", [check_id(id)]).fetchone()
        if row is None:
            raise ValueError("this clip is no longer in the library")
        return Record.of_row(row)

    def find(self, query: Query | None = None) -> list[Record]:
        """Clips that answer a query.

        Raises:
            ValueError: for a query that cannot be.
        """
        where, given = (query or Query()).statement()
        with connect(self.database) as database:
            return [Record.of_row(row) for row in database.execute(SELECT + where, given)]

    def of_ids(self, ids: Iterable[str]) -> list[Record]:
        """Clips of these ids, in this order, without those that are not there any more."""
        wanted = [check_id(id) for id in ids]
        found: dict[str, Record] = {}
        with connect(self.database) as database:
            for first in range(0, len(wanted), 500):
                some = wanted[first : first + 500]
                marks = ", ".join("?" * len(some))
                rows = database.execute(f"{SELECT} WHERE id IN ({marks}) AND deleted IS NULL", some)
                found |= {row["id"]: Record.of_row(row) for row in rows}
        return [found[id] for id in wanted if id in found]

    def children(self, id: str) -> list[Record]:
        """Clips that were made with this one."""
        with connect(self.database) as database:
            rows = database.execute(f"{SELECT} WHERE instr(lineage, ?) AND deleted IS NULL", [f'"{check_id(id)}"'])
            return [Record.of_row(row) for row in rows]

    def tags(self) -> list[str]:
        """All tags of kept clips, in alphabetical order."""
        statement = "SELECT DISTINCT tag FROM tags JOIN clips ON id = clip WHERE deleted IS NULL ORDER BY tag"
        with connect(self.database) as database:
            return [row["tag"] for row in database.execute(statement)]

    def vectors(self, role: str, space: str) -> dict[str, np.ndarray]:
        """Unit vectors ``[dim]`` of all clips that are not deleted, by id.

        Args:
            role: ``told`` for what clips were generated from, ``heard`` for what they sound like.
            space: of which embedder.
        """
        statement = (
            "SELECT clip, numbers FROM vectors JOIN clips ON id = clip "
            "WHERE role = ? AND space = ? AND deleted IS NULL ORDER BY created, id"
        )
        with connect(self.database) as database:
            rows = database.execute(statement, [role, space]).fetchall()
        return {row["clip"]: np.frombuffer(row["numbers"], "<f4") for row in rows}

    def picture(self, id: str, name: str) -> bytes:
        """Its ``peaks`` or its ``mel``.

        Raises:
            ValueError: if there is no such clip.
        """
        with connect(self.database) as database:
            row = database.execute("SELECT peaks, mel FROM pictures WHERE clip = ?", [check_id(id)]).fetchone()
        if row is None:
            raise ValueError("this clip is no longer in the library")
        return row[name]

    def described(self, id: str) -> dict[str, Any]:
        """Its JSON.

        Raises:
            OSError: if the file is missing.
        """
        return read_json(self.json_path(id))

    def keep(self, id: str) -> Record:
        """Put a take into the library."""
        return self._change(id, "kept = coalesce(kept, ?)", [time.time()])

    def mark(self, id: str, favourite: bool) -> Record:
        """Make it a favourite, or no longer one."""
        return self._change(id, "favourite = ?", [int(favourite)])

    def rate(self, id: str, rating: int) -> Record:
        """Give it 1 to 5 stars, or 0 for none."""
        return self._change(id, "rating = ?", [check_rating(rating)])

    def rename(self, id: str, title: str) -> Record:
        """Call it something else; its files keep their names."""
        return self._change(id, "title = ?", [check_title(title)])

    def tag(self, id: str, tags: Sequence[str] | str) -> Record:
        """Replace its tags."""
        return self._change(id, "", [], check_tags(tags))

    def delete(self, id: str) -> Record:
        """Move it to the bin."""
        return self._change(id, "deleted = coalesce(deleted, ?)", [time.time()])

    def restore(self, id: str) -> Record:
        """Take it out of the bin."""
        return self._change(id, "deleted = NULL", [])

    def _change(self, id: str, change: str, given: list[Any], tags: Sequence[str] | None = None) -> Record:
        with transaction(self.database) as database:
            if change:
                database.execute(f"UPDATE clips SET {change} WHERE id = ?", [*given, check_id(id)])
            row = database.execute(f"{SELECT} WHERE id = ?", [check_id(id)]).fetchone()
            if row is None:
                raise ValueError("this clip is no longer in the library")
            if tags is not None:
                _write_tags(database, id, tags)
            record = Record.of_row(database.execute(f"{SELECT} WHERE id = ?", [id]).fetchone())
            words = words_of(record.title, record.prompt, record.key, *record.tags)
            database.execute("UPDATE clips SET words = ? WHERE id = ?", [words, id])
        return record


def _write_tags(database: sqlite3.Connection, id: str, tags: Sequence[str]) -> None:
    database.execute("DELETE FROM tags WHERE clip = ?", [id])
    database.executemany("INSERT INTO tags VALUES (?, ?)", [(id, tag) for tag in tags])


def _sync_folder(folder: Path) -> None:
    """Let the names of new files survive a loss of power, where a system can."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
