"""A sample that still lies in its shard, of which only what is asked for is read."""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import cached_property
from types import TracebackType
from typing import Any

import numpy as np

from musegen.data.sample import FIELDS, Sample, captions_of, count_texts, decode
from musegen.data.shard_file import ShardFile
from musegen.data.shard_reader import DamagedShardError


class StoredSample:
    """Looks like a `Sample`; to be used in a ``with``, which closes the shard.

    Args:
        shard: where it lies.
        number: of the sample in its shard.

    Raises:
        DamagedShardError: from every attribute, naming the shard, if what is asked for is damaged or missing.
    """

    def __init__(self, shard: ShardFile, number: int) -> None:
        self._shard, self._number = shard, number
        self.key = shard.table.keys[number]
        self._places = shard.table.places(number)
        self._descriptor: int | None = None

    @property
    def origin(self) -> tuple[str, int]:
        """SHA-256 of its shard, and its number in it."""
        return self._shard.entry.sha256, self._number

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What is known of it."""
        return self._read("json")

    @property
    def captions(self) -> list[str]:
        """The variants of its caption."""
        return captions_of(self.facts)

    @property
    def embedding(self) -> np.ndarray:
        """Unit vectors ``[windows, dim]``."""
        return self._read(FIELDS["embedding"])

    @property
    def latents(self) -> np.ndarray:
        """``[channels, frames]``."""
        return self._read(FIELDS["latents"])

    @property
    def audio(self) -> bytes:
        """A FLAC file."""
        return self._read(FIELDS["audio"])

    @property
    def texts(self) -> int:
        """How many captions' states there are."""
        return count_texts(self._places)

    def text_of(self, caption: int) -> np.ndarray:
        """States ``[tokens, dim]`` of a caption, by its place among `captions`."""
        return self._read(f"text.{caption}.npy")

    @property
    def places(self) -> dict[str, tuple[int, int, int]]:
        """First byte, size and CRC-32 of its members, by suffix."""
        return self._places

    def load(self, fields: Collection[str]) -> Sample:
        """Read all of it, and of the fields those that are named."""
        arrays = {name: self._read(FIELDS[name]) for name in FIELDS if name in fields}
        text = [self.text_of(number) for number in range(max(1, self.texts))] if "text" in fields else None
        return Sample(self.key, self.facts, text=text, **arrays)

    def content(self, suffix: str) -> bytes | None:
        """The bytes of a member, which are what was written; None if there is no such member."""
        if suffix not in self._places:
            return None
        if self._descriptor is None:
            self._descriptor = self._shard.open()
        return self._shard.read(self._descriptor, f"{self.key}.{suffix}", *self._places[suffix])

    def _read(self, suffix: str) -> Any:
        content = self.content(suffix)
        try:
            return decode(self.key, suffix, content, self._places)
        except ValueError as error:
            raise DamagedShardError(f"{self._shard.path}: {error}") from None

    def __enter__(self) -> StoredSample:
        """Read within ``with``."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the shard."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
