"""The library's database: its tables, and how a connection is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = 1
PATIENCE = 20.0
"""Seconds to wait for another window's or process's write."""

TABLES = """
CREATE TABLE IF NOT EXISTS clips (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('generated', 'imported')),
    title TEXT NOT NULL,
    prompt TEXT NOT NULL,
    negative TEXT NOT NULL,
    seed INTEGER,
    model TEXT NOT NULL,
    seconds REAL NOT NULL,
    audio_sha256 TEXT NOT NULL,
    file_sha256 TEXT NOT NULL,
    created REAL NOT NULL,
    kept REAL,
    deleted REAL,
    favourite INTEGER NOT NULL DEFAULT 0,
    rating INTEGER NOT NULL DEFAULT 0 CHECK (rating BETWEEN 0 AND 5),
    closeness REAL,
    tempo REAL,
    key TEXT NOT NULL DEFAULT '',
    lineage TEXT NOT NULL DEFAULT '{}',
    words TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS clips_created ON clips (created);
CREATE TABLE IF NOT EXISTS tags (
    clip TEXT NOT NULL REFERENCES clips (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (clip, tag)
);
CREATE TABLE IF NOT EXISTS vectors (
    clip TEXT NOT NULL REFERENCES clips (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('told', 'heard')),
    space TEXT NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (clip, role)
);
CREATE TABLE IF NOT EXISTS pictures (
    clip TEXT PRIMARY KEY REFERENCES clips (id) ON DELETE CASCADE,
    peaks BLOB NOT NULL,
    mel BLOB NOT NULL
);
"""


def prepare(path: Path) -> None:
    """Make the tables where they are missing.

    Raises:
        ValueError: if the file is no library's database, or of a later version.
    """
    try:
        with connect(path) as database:
            database.execute("PRAGMA journal_mode = WAL")
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise ValueError(f"{path}: expected a library of version {VERSION}, got version {version}")
            for statement in TABLES.split(";\n"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path}: expected a library's database: {error}") from None


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection, closed at the end; each statement is its own transaction, unless `transaction` joins several."""
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        database.row_factory = sqlite3.Row
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA synchronous = FULL")
        yield database
    finally:
        database.close()


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose statements all happen or none; writers wait for one another."""
    with connect(path) as database:
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
