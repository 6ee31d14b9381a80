"""A corpus, as something that gives its pieces one by one, in an order that never changes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from musegen.config import Configurable
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
            ValueError: if something that every piece needs is missing.
        """
