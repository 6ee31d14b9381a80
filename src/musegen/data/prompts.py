"""Prompts to predict from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
from torch.utils.data import DataLoader

from musegen.data.items import collate


def read_prompts(path: str | Path) -> list[str]:
    """Prompts of a text file (one a line, empty lines and those that begin with # left out) or of JSON Lines.

    Raises:
        ValueError: if there is no such file, a line of JSON has no ``caption``, or there is no prompt at all.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"expected a file of prompts, got {path}, which does not exist")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a text file in UTF-8") from None
    prompts = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if path.suffix == ".jsonl" and text:
            try:
                text = json.loads(text)["caption"]
            except (ValueError, KeyError, TypeError):
                raise ValueError(
                    f'{path}, line {number}: expected JSON like {{"caption": "…"}}, got {text!r}'
                ) from None
        elif text.startswith("#"):
            continue
        if text:
            prompts.append(text)
    if not prompts:
        raise ValueError(f"{path}: expected at least one prompt, got none")
    return prompts


class PromptData(L.LightningDataModule):
    """Prompts for ``musegen predict`` with stage 1: each process samples its own part, every item once.

    Args:
        prompts: a file, see `read_prompts`.
        samples: items of each prompt, with the seeds ``seed``, ``seed + 1`` …
        seed: the first seed.
        batch_size: items of a batch.
    """

    def __init__(self, prompts: str, samples: int = 1, seed: int = 0, batch_size: int = 16) -> None:
        super().__init__()
        for name, value, least in (("samples", samples, 1), ("seed", seed, 0), ("batch_size", batch_size, 1)):
            if value < least:
                raise ValueError(f"{name}: expected {least} or more, got {value}")
        self.batch_size = batch_size
        self.items: Sequence[dict[str, Any]] = [
            {"key": f"{number:05d}-{seed + sample}", "seed": seed + sample, "caption": caption}
            for number, caption in enumerate(read_prompts(prompts))
            for sample in range(samples)
        ]

    def predict_dataloader(self) -> DataLoader[Any]:
        """This process's items, in order."""
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return DataLoader(self.items[rank::world], batch_size=self.batch_size, collate_fn=collate)  # type: ignore[arg-type]
