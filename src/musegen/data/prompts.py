"""Prompts to predict from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning.pytorch as L

from musegen.data.items import collate
from musegen.data.prompt_file import read_prompts
from musegen.data.sample import KEY


class PromptData(L.LightningDataModule):
    """Prompts for ``musegen predict`` with stage 1: each process samples its own part, every item once.

    A batch is a dict: ``key`` (list; the prompt's key, then the seed where there are several samples), ``seed``
    ``[batch]`` int64, ``caption`` (list).

    Args:
        prompts: a text file with one prompt a line, or JSON Lines with ``caption``, ``key`` and ``seed``.
        samples: items of each prompt, with the seeds s, s + 1 …
        seed: the first seed s of prompts whose file names none.
        batch_size: items of a batch.
    """

    def __init__(self, prompts: str, samples: int = 1, seed: int = 0, batch_size: int = 16) -> None:
        super().__init__()
        for name, value, least in (("samples", samples, 1), ("seed", seed, 0), ("batch_size", batch_size, 1)):
            if value < least:
                raise ValueError(f"{name}: expected {least} or more, got {value}")
        self.prompts, self.samples, self.seed, self.batch_size = prompts, samples, seed, batch_size
        self.allow_zero_length_dataloader_with_multiple_devices = True  # fewer items than processes

    def items(self) -> list[dict[str, Any]]:
        """All items of all processes, in order."""
        items = []
        for prompt in read_prompts(self.prompts):
            first = self.seed if prompt.seed is None else prompt.seed
            for seed in range(first, first + self.samples):
                if seed >= 2**63:
                    raise ValueError(f"{self.prompts}: expected seeds from 0 to 2**63 - 1, got {seed}")
                key = prompt.key if self.samples == 1 else f"{prompt.key}-{seed}"
                if not KEY.fullmatch(key):
                    raise ValueError(
                        f"{self.prompts}: expected keys of at most 80 characters with their seeds, got {key!r}"
                    )
                items.append({"key": key, "seed": seed, "caption": prompt.caption})
        return items

    def check(self, command: str, processes: int = 1) -> None:
        """Read the prompts before a command writes anything.

        Raises:
            OSError: if there is no such file.
            ValueError: if it holds something else, or for another command than ``predict``.
        """
        if command != "predict":
            raise ValueError(f"data: expected shards to {command} with, got prompts, which are to predict from")
        self.items()

    def predict_dataloader(self) -> PromptBatches:
        """This process's items, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return PromptBatches(self.items()[rank::world], self.batch_size)


class PromptBatches:
    """Batches of items in memory: a plain iterable, which the Trainer leaves as it is.

    Args:
        items: of this process.
        batch_size: items of a batch; the last one may have fewer.
    """

    def __init__(self, items: list[dict[str, Any]], batch_size: int) -> None:
        self.items, self.batch_size = items, batch_size

    def __len__(self) -> int:
        """How many batches."""
        return -(-len(self.items) // self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Go through them."""
        for begin in range(0, len(self.items), self.batch_size):
            yield collate(self.items[begin : begin + self.batch_size])
