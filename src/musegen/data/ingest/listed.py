"""A corpus that is a list of audio files, each with what is known of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from musegen.data.ingest.audio import AudioRules, read_piece
from musegen.data.ingest.problems import Skip, UnusableError
from musegen.data.ingest.splits import Split
from musegen.data.sample import Sample
from musegen.data.sources.base import Source


@dataclass(frozen=True)
class Piece:
    """One piece of music, before its audio is read.

    Args:
        key: of its sample.
        name: as the corpus calls it.
        group: see `Source.group`.
        audio: paths of files that sound together; one, as a rule.
        captions: by variant, ``main`` first.
        facts: whatever else is known; ``licence`` and ``source`` among it.
        split: that the corpus itself puts it into.
        wrong: why it cannot be used, where that is known already.
    """

    key: str
    name: str
    group: str
    audio: Sequence[str]
    captions: Mapping[str, str]
    facts: Mapping[str, Any] = field(default_factory=dict)
    split: Split | None = None
    wrong: UnusableError | None = None


class ListedSource(Source):
    """Lists its pieces when it is built, and reads the audio of one when it is asked for.

    Args:
        rules: for audio.
    """

    def __init__(self, rules: AudioRules) -> None:
        super().__init__()
        self.rules = rules
        self._lost: list[Skip] = []
        self.pieces = self._unique(self.list_pieces(self._lost))

    @abstractmethod
    def list_pieces(self, lost: list[Skip]) -> list[Piece]:
        """All pieces, in an order that never changes.

        Args:
            lost: takes what cannot become a piece.
        """

    def _unique(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The first piece of each key."""
        first: dict[str, Piece] = {}
        for piece in pieces:
            if first.setdefault(piece.key, piece) is not piece:
                self._lost.append(Skip(piece.name, "key is there already", f"{piece.key} is {first[piece.key].name}"))
        return list(first.values())

    def __len__(self) -> int:
        return len(self.pieces)

    def read(self, number: int) -> Sample | None:
        """Read a piece's audio; see `Source.read`."""
        piece = self.pieces[number]
        if piece.wrong is not None:
            raise piece.wrong
        audio, heard = read_piece(piece.audio, self.rules)
        notes = [*piece.facts.get("notes", ()), *heard.get("notes", ())]
        facts = {**piece.facts, **heard, "captions": dict(piece.captions)}
        return Sample(piece.key, facts | ({"notes": notes} if notes else {}), audio=audio)

    def name(self, number: int) -> str:
        """See `Source.name`."""
        return self.pieces[number].name

    def key(self, number: int) -> str:
        """See `Source.key`."""
        return self.pieces[number].key

    def group(self, number: int) -> str:
        """See `Source.group`."""
        return self.pieces[number].group

    def split(self, number: int) -> Split | None:
        """See `Source.split`."""
        return self.pieces[number].split

    @property
    def lost(self) -> Sequence[Skip]:
        """See `Source.lost`."""
        return self._lost

    @property
    def made_by(self) -> Mapping[str, Any]:
        """The recipe; of a folder only its name."""
        arguments = dict(self.config["init_args"])
        arguments["folder"] = PurePath(arguments["folder"]).name
        return {**self.config, "init_args": arguments}
