"""Clips for the library that cost nothing: noise, and vectors that say which they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musegen.app.store.library import Heard, Library
from musegen.app.store.record import Record
from musegen.audio import encode_audio
from musegen.files import write_whole
from musegen.fingerprint import hash_bytes, hash_tensor

RATE, DIM = 8000, 8


def writer(number: int, prompt: str) -> Callable[[Path], Mapping[str, Any]]:
    audio = 0.1 * torch.randn(2, 400, generator=torch.Generator().manual_seed(number))

    def write(path: Path) -> Mapping[str, Any]:
        content = encode_audio(audio, RATE, "flac")
        said = {
            "prompt": prompt,
            "seed": number,
            "model": "little",
            "settings": {"negative": None},
            "sample_rate": RATE,
            "samples": 400,
            "audio_sha256": hash_tensor(audio),
            "file_sha256": hash_bytes(content),
        }
        write_whole({path: content, path.with_suffix(".json"): json.dumps(said).encode()})
        return said

    return write


def unit(number: int) -> np.ndarray:
    vector = np.random.default_rng(number).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def heard(number: int) -> Heard:
    return Heard("little-1", unit(number), unit(1000 + number), 0.5, 120.0, "D minor", b"\x01\x02", b"png")


def add(library: Library, number: int = 0, prompt: str = "", **more: Any) -> Record:
    return library.add(writer(number, prompt or f"prompt {number}"), heard(number), **more)


def assert_whole(library: Library) -> set[str]:
    """Every row has its files, as its hashes say; gives all ids."""
    with sqlite3.connect(library.database) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = database.execute("SELECT id, file_sha256 FROM clips").fetchall()
        for table in ("pictures", "vectors"):
            assert {row[0] for row in rows} == {row[0] for row in database.execute(f"SELECT clip FROM {table}")}
    for id, digest in rows:
        assert hash_bytes(library.audio_path(id).read_bytes()) == digest
        assert library.described(id)["file_sha256"] == digest
    return {row[0] for row in rows}
