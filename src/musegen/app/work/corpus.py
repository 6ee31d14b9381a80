"""Music to look around in: a folder of shards whose embeddings are drawn on the Lab's map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from musegen.conditioning.base import Embedder
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample

MOST = 4000
"""Pieces that are drawn; of more, so many at even distances."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Pieces of a folder of shards.

    Args:
        vectors: unit vectors ``[pieces, dim]``, each the direction of a piece's mean.
        titles: a caption of each.
        genres: empty where unknown.
        tempos: beats per minute; NaN where unknown.
        keys: such as ``D minor``; empty where unknown.
        places: of each in the folder.
        folder: to read their audio, or else their latents, from; None where they have neither.
        codec: hash of the weights of the codec that made the latents; empty where audio is read.
    """

    vectors: np.ndarray
    titles: list[str]
    genres: list[str]
    tempos: list[float]
    keys: list[str]
    places: list[int]
    folder: ShardFolder | None = None
    codec: str = ""

    def sample(self, number: int) -> Sample:
        """A piece with its audio or its latents.

        Raises:
            ValueError: if there is no such piece, or the shards hold neither.
        """
        if self.folder is None or not 0 <= number < len(self.places):
            raise ValueError("this piece cannot be heard: its shards hold no audio and no latents")
        return self.folder[self.places[number]]


def read_corpus(path: Path, embedder: Embedder, most: int = MOST) -> Corpus:
    """Read a folder of shards.

    Args:
        path: of the folder.
        embedder: whose space is drawn.
        most: pieces.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it has no embeddings, or those of another embedder.
    """
    folder = ShardFolder(path, ["embedding"])
    revision = (folder.index.made_by.get("embedding") or {}).get("revision")
    if revision != embedder.revision:
        raise ValueError(f"{path}: expected embeddings of {embedder.revision}, got those of {revision}")
    places = np.unique(np.linspace(0, len(folder) - 1, min(most, len(folder))).round().astype(int)).tolist()
    vectors, titles, genres, tempos, keys = [], [], [], [], []
    for place in places:
        sample = folder[place]
        mean = np.asarray(sample.embedding, np.float32).mean(0)
        vectors.append(mean / max(float(np.linalg.norm(mean)), 1e-6))
        titles.append(sample.captions[0][:200])
        genres.append(_genre(sample.facts))
        tempos.append(_tempo(sample.facts))
        keys.append(_key(sample.facts))
    whole = np.stack(vectors) if vectors else np.zeros((0, embedder.dim), np.float32)
    held = next((field for field in ("audio", "latents") if field in folder.index.fields), None)
    heard = None if held is None else ShardFolder(path, [held])
    made_by = folder.index.made_by.get("latents") or {} if held == "latents" else {}
    return Corpus(whole, titles, genres, tempos, keys, places, heard, str(made_by.get("weights") or ""))


def _genre(facts: Mapping[str, Any]) -> str:
    return str(facts.get("genre") or facts.get("style") or "")[:40]


def _tempo(facts: Mapping[str, Any]) -> float:
    tempo = facts.get("tempo")
    return float(tempo) if isinstance(tempo, int | float) else float("nan")


def _key(facts: Mapping[str, Any]) -> str:
    key, mode = str(facts.get("key") or ""), str(facts.get("mode") or "")
    key = key.replace("#", "♯")
    return key if not mode or mode in key or not key else f"{key} {mode}"
