"""What was skipped because it is damaged: each shard by its name, and how many samples of it."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence

SKIPPED = "skipped"
"""Key of a batch under which a worker process says what it skipped, one message a sample; no model sees it."""


class Damage:
    """Counts what was skipped; warns of each shard once, and of the numbers when an epoch is over."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._counts: Counter[str] = Counter()

    def add(self, messages: Sequence[str]) -> None:
        """Count skipped samples, given what was wrong with each: ``SHARD: why``."""
        for message in messages:
            shard = message.partition(": ")[0]
            self._counts[shard] += 1
            if shard not in self._known:
                self._known.add(shard)
                warnings.warn(
                    f"skipped a sample, others of this shard are counted until the epoch's end: {message}", stacklevel=2
                )

    def sum_up(self) -> None:
        """Say how many samples of which shards were skipped since the last time, if any were."""
        if self._counts:
            counts = ", ".join(f"{count} of {shard}" for shard, count in sorted(self._counts.items()))
            total = sum(self._counts.values())
            self._counts.clear()
            warnings.warn(f"skipped {total} damaged samples in this epoch, {counts}; others came instead", stacklevel=2)
