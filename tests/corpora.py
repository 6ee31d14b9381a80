"""Little corpora with the true layout of the large ones, and everything that is wrong with real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def noise(seconds: float, rate: int = 44100, channels: int = 2, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=(round(seconds * rate), channels))).astype(np.float32)


def put_audio(
    path: Path, seconds: float = 1.5, rate: int = 16000, channels: int = 1, seed: int = 0, **how: Any
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, noise(seconds, rate, channels, seed), rate, **how)


def bench_row(location: str, caption: str = "A sad piano tune.", **fields: Any) -> dict[str, Any]:
    """A row of MusicBench with all its keys."""
    return {
        "dataset": "MusicBench",
        "location": location,
        "main_caption": caption,
        "alt_caption": f"Rephrased: {caption}",
        "prompt_aug": "",
        "prompt_ch": "The chord progression in this song is Am, F.",
        "prompt_bt": "The beat counts to 4.",
        "prompt_bpm": "The tempo of this song is Adagio.",
        "prompt_key": "The key of this song is A minor.",
        "beats": [[0.5, 1.1, 1.7], [1.0, 2.0, 3.0]],
        "bpm": 100.0,
        "chords": ["Am", "F"],
        "chords_time": [0.5, 1.1],
        "key": ["A", "minor"],
        "keyprob": [0.83],
        "is_audioset_eval_mcaps": False,
    } | fields


def put_lines(path: Path, rows: list[Any]) -> None:
    """JSON Lines; bytes are written as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows) + b"\n")


def put_table(path: Path, rows: list[list[str]]) -> None:
    """Tab-separated, as Music4All's tables are, whatever their names end in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
