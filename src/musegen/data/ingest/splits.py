"""Which part of a corpus a piece is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from musegen.flow.noise import hash_seed

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True)
class SplitRule:
    """Splits by group: all pieces of one recording, artist or album go the same way.

    Where a group goes depends on its name and on nothing else, so that a corpus may grow and nothing
    changes sides.

    Args:
        val: share of the groups that is held out for validation.
        test: share that is held out for testing.
        seed: other seeds hold out other groups.
    """

    val: float = 0.02
    test: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible shares.

        Raises:
            ValueError: for a share below 0, or shares that leave nothing to train on.
        """
        if not (0 <= self.val <= 1 and 0 <= self.test <= 1 and self.val + self.test <= 1):
            raise ValueError(
                f"val and test: expected shares from 0 to 1, together at most 1, got {self.val}, {self.test}"
            )

    def of(self, group: str) -> Split:
        """The split of a group."""
        place = hash_seed(self.seed, "split", group) / 2**63
        if place < self.test:
            return "test"
        return "val" if place < self.test + self.val else "train"

    @property
    def made_by(self) -> dict[str, Any]:
        """What names the rule in an index."""
        return {"val": self.val, "test": self.test, "seed": self.seed}
