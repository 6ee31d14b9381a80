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

    A member is compared with its CRC-32 when this process reads it first.

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
        keys, seeds, wanted = [], [], []
        for row, (epoch, position, repeat) in enumerate(places):
            number = bisect_right(self._ends, position)
            shard = self._shards[number]
            sample = position - self._ends[number] + shard.shard.entry.samples
            keys.append(shard.keys[sample])
            seeds.append(self._make.seed_of(keys[-1], epoch, repeat))
            wanted.append((number, sample, drawn_caption(seeds[-1], shard.captions[sample]), row))
        wanted.sort()
        states, lengths, vectors = self._gather(wanted)
        return {
            "key": keys,
            "seed": torch.tensor(seeds, dtype=torch.int64),
            "embedding": torch.from_numpy(vectors),
            "text_states": torch.from_numpy(states),
            "text_mask": real_tokens(lengths),
        }

    def _gather(self, wanted: list[tuple[int, int, int, int]]) -> tuple[np.ndarray, list[int], np.ndarray]:
        """States, their lengths and vectors of shard, sample, caption and row each, sorted."""
        text, embedding = self._rows or self._look(self._shards[wanted[0][0]].shard)
        sizes = [int(self._shards[number].texts[sample, caption, SIZE]) for number, sample, caption, _ in wanted]
        states = np.empty((len(wanted), text.count(max(sizes)), text.dim), text.kind)
        vectors = np.empty((len(wanted), embedding.dim), np.float32)
        lengths = [0] * len(wanted)
        for number, group in groupby(wanted, itemgetter(0)):
            shard = self._shards[number]
            descriptor = shard.shard.open()
            try:
                for _, sample, caption, row in group:
                    place = shard.texts[sample, caption].tolist()
                    lengths[row] = count = text.count(place[SIZE])
                    text.read(descriptor, place, states[row, :count], shard.seen_texts[sample, caption])
                    states[row, count:] = 0
                    shard.seen_texts[sample, caption] = True
                    place = shard.embeddings[sample].tolist()
                    windows = np.empty((embedding.count(place[SIZE]), embedding.dim), embedding.kind)
                    embedding.read(descriptor, place, windows, shard.seen_embeddings[sample])
                    vectors[row] = mean_direction(windows)
                    shard.seen_embeddings[sample] = True
            finally:
                os.close(descriptor)
        return states, lengths, vectors

    def _look(self, shard: ShardFile) -> tuple[MemberRows, MemberRows]:
        """What the members of all shards should be like: those of one of them."""
        self._rows = MemberRows.like(shard, "text.0.npy"), MemberRows.like(shard, FIELDS["embedding"])
        return self._rows


class _Places:
    """Where the pairs of a shard lie, looked up when they are needed first, and which of them were compared.

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

    @cached_property
    def seen_embeddings(self) -> np.ndarray:
        """Which embeddings were compared with their checksum, ``[samples]``."""
        return np.zeros(len(self.keys), dtype=bool)

    @cached_property
    def seen_texts(self) -> np.ndarray:
        """Which text states were, ``[samples, captions]``."""
        return np.zeros(self.texts.shape[:2], dtype=bool)

    def _column(self, suffix: str) -> np.ndarray:
        if suffix not in self.shard.table.members:
            raise ValueError(f"{self.shard.path}: expected {suffix} among its members, got none")
        return self.shard.table.members[suffix]
