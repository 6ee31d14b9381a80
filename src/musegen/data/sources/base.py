"""A corpus, as something that gives its pieces one by one, in an order that never changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from musegen.config import Configurable
from musegen.data.ingest.problems import Skip
from musegen.data.ingest.splits import Split
from musegen.data.sample import Sample


class Source(Configurable, ABC):
    """Pieces of music with captions, by number. Reading one depends on nothing but the number."""

    @abstractmethod
    def __len__(self) -> int:
        """How many pieces there are."""

    @abstractmethod
    def read(self, number: int) -> Sample | None:
        """A piece with its audio as FLAC; None for one that cannot be used.

        Raises:
            UnusableError: for a piece that cannot be used, saying why.
            ValueError: if something that every piece needs is missing.
        """

    def name(self, number: int) -> str:
        """What a report calls a piece."""
        return f"number {number}"

    def key(self, number: int) -> str | None:
        """The key that a piece's sample will have; None where only reading tells."""
        return None

    def group(self, number: int) -> str:
        """What a piece shares with others: no group comes into two splits. By default each piece is one of its own."""
        return str(number)

    def split(self, number: int) -> Split | None:
        """The split that the corpus itself puts a piece into; None where it says nothing."""
        return None

    @property
    def lost(self) -> Sequence[Skip]:
        """What was given up before there was anything to read, such as a damaged line of a table."""
        return ()

    @property
    def made_by(self) -> Mapping[str, Any]:
        """What names the source in the index of its shards: its recipe, without what differs between machines."""
        return self.config
