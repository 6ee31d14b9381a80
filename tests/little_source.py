"""A source of little pieces, in a file that other processes can import."""

from __future__ import annotations

import os

import torch

from corpora import noise
from musegen.audio import encode_audio
from musegen.data.ingest.problems import UnusableError
from musegen.data.sample import Sample
from musegen.data.sources.base import Source


class Little(Source):
    """Pieces of a second; every seventh cannot be used, every tenth repeats the first, artists have three each.

    Args:
        pieces: how many.
        named: whether keys are known beforehand.
        dies: number at which a process dies.
    """

    def __init__(self, pieces: int = 30, named: bool = True, dies: int | None = None) -> None:
        super().__init__()
        self.pieces, self.named, self.dies = pieces, named, dies

    def __len__(self) -> int:
        return self.pieces

    def key(self, number: int) -> str | None:
        return f"little-{number}" if self.named else None

    def group(self, number: int) -> str:
        return f"artist {number // 3}"

    def read(self, number: int) -> Sample | None:
        if number == self.dies:
            os._exit(9)
        if number % 7 == 6:
            raise UnusableError("out of tune", f"by {number} cents")
        if number % 13 == 12:
            return None
        audio = torch.from_numpy(noise(1, 8000, 1, seed=number if number % 10 else 0).T.copy())
        facts = {"captions": [f"piece {number}"], "licence": "CC0-1.0", "seconds": 1.0}
        if number == 8:
            facts["tempo"] = float("nan")
        return Sample(f"little-{number}", facts, audio=encode_audio(audio, 8000, "flac"))
