"""Embeddings and text states of many samples, read from their shards straight into the arrays of a batch.

Stage 1 takes up to 20,000 pairs a second, so that a sample has 50 microseconds. Members lie packed in a tar, one after
another, and the table beside it knows where: a batch is gathered shard by shard, with little Python for each sample.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any

import numpy as np
import torch

from musegen.data.crops import mean_direction
from musegen.data.items import ItemMaker, drawn_caption, real_tokens
from musegen.data.member_rows import MemberRows
from musegen.data.order import Place
from musegen.data.random_access import ShardFolder
from musegen.data.sample import FIELDS, count_texts
from musegen.data.shard_file import ShardFile
from musegen.data.shard_table import SIZE


class PairReader:
    """Reads batches of whole pieces' embeddings and text states: those that an `ItemMaker` makes one by one.

    Args:
        folders: their positions follow each other.
        make: says which seed and which caption an item has.
    """

    def __init__(self, folders: Sequence[ShardFolder], make: ItemMaker) -> None:
        self._make = make
        self._shards = [_Places(shard) for folder in folders for shard in folder.shards]
        self._ends = list(accumulate(places.shard.entry.samples for places in self._shards))
        self._rows: tuple[MemberRows, MemberRows] | None = None

    @staticmethod
    def can(make: ItemMaker) -> bool:
        """Whether it can stand in for this maker: in training, where pairs are wanted and nothing else."""
        return make.training and set(make.fields) == {"embedding", "text"}

    def read(self, places: Sequence[Place]) -> dict[str, Any]:
        """Read a batch.

        Raises:
            ValueError: if it cannot be read this way: something is damaged, missing, or unlike the rest.
            OSError: likewise.
        """
        keys, seeds, where = [], [], []
        for row, (epoch, position, repeat) in enumerate(places):
            number = bisect_right(self._ends, position)
            shard = self._shards[number]
            sample = position - self._ends[number] + shard.shard.entry.samples
            keys.append(shard.keys[sample])
            seeds.append(self._make.seed_of(keys[-1], epoch, repeat))
            where.append((number, sample, drawn_caption(seeds[-1], shard.captions[sample]), row))
        where.sort()
        text, embedding = self._rows or self._look(self._shards[where[0][0]].shard)
        members = [self._shards[number].texts[sample, caption].tolist() for number, sample, caption, _ in where]
        states = np.empty((len(places), max(text.count(size) for _, size, _ in members), text.dim), text.kind)
        vectors = np.empty((len(places), embedding.dim), np.float32)
        lengths = [0] * len(places)
        target, stride = states.reshape(-1).view(np.uint8).data, states[0].nbytes
        member = iter(members)
        for number, group in groupby(where, itemgetter(0)):
            shard = self._shards[number]
            descriptor = shard.shard.open()
            try:
                for _, sample, _, row in group:
                    begin, size, crc = next(member)
                    lengths[row] = count = text.count(size)
                    text.read(descriptor, begin, size, crc, target[row * stride : row * stride + count * text.row])
                    states[row, count:] = 0
                    vectors[row] = _direction(embedding, descriptor, *shard.embeddings[sample].tolist())
            finally:
                os.close(descriptor)
        return {
            "key": keys,
            "seed": torch.tensor(seeds, dtype=torch.int64),
            "embedding": torch.from_numpy(vectors),
            "text_states": torch.from_numpy(states),
            "text_mask": real_tokens(lengths),
        }

    def _look(self, shard: ShardFile) -> tuple[MemberRows, MemberRows]:
        """What the members of all shards should be like: those of one of them."""
        self._rows = MemberRows.like(shard, "text.0.npy"), MemberRows.like(shard, FIELDS["embedding"])
        return self._rows


class _Places:
    """Where the pairs of a shard lie, looked up when they are needed first.

    Args:
        shard: which one.
    """

    def __init__(self, shard: ShardFile) -> None:
        self.shard = shard

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Of its samples."""
        return self.shard.table.keys

    @cached_property
    def embeddings(self) -> np.ndarray:
        """Places of the embeddings, ``[samples, 3]``."""
        return self._column(FIELDS["embedding"])

    @cached_property
    def texts(self) -> np.ndarray:
        """Places of the text states, ``[samples, captions, 3]``."""
        count = count_texts(self.shard.table.members)
        return np.stack([self._column(f"text.{number}.npy") for number in range(max(1, count))], axis=1)

    @cached_property
    def captions(self) -> list[int]:
        """How many captions each sample has."""
        return (self.texts[:, :, SIZE] >= 0).sum(1).tolist()

    def _column(self, suffix: str) -> np.ndarray:
        if suffix not in self.shard.table.members:
            raise ValueError(f"{self.shard.path}: expected {suffix} among its members, got none")
        return self.shard.table.members[suffix]


def _direction(rows: MemberRows, descriptor: int, begin: int, size: int, crc: int) -> np.ndarray:
    """What an embedding says of a whole piece."""
    windows = np.empty((rows.count(size), rows.dim), rows.kind)
    rows.read(descriptor, begin, size, crc, windows.reshape(-1).view(np.uint8).data)
    return mean_direction(windows)
