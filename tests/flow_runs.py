"""Short runs of stage 2 on latents whose mean its condition tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader

from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.flow.noise import hash_seed
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.samplers.euler import Euler
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.stages.stable_audio_muq import StableAudioMuQ

CHANNELS, FRAMES, DIM = 4, 16, 8


def items(count: int, seed: int) -> list[dict[str, Any]]:
    """Latents whose mean is told by the embedding, at an offset and a scale that have to be measured."""
    generator = torch.Generator().manual_seed(seed)
    told = torch.nn.functional.normalize(torch.randn(count, DIM, generator=generator))
    noise = torch.randn(count, CHANNELS, FRAMES, generator=generator)
    latents = 5.0 + 0.3 * (3 * told[:, :CHANNELS, None] + 0.3 * noise)
    return [
        {"key": f"{seed}-{i}", "seed": hash_seed(seed, i), "embedding": told[i], "latents": latents[i]}
        for i in range(count)
    ]


def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "key": [row["key"] for row in rows],
        "seed": torch.tensor([row["seed"] for row in rows]),
        **{name: torch.stack([row[name] for row in rows]) for name in ("embedding", "latents")},
    }


class Items(L.LightningDataModule):
    licences = ("CC-BY-4.0",)

    def __init__(self, batch_size: int = 16, train_items: int = 128) -> None:
        super().__init__()
        self.batch_size, self.train_items = batch_size, train_items

    def train_dataloader(self) -> DataLoader:
        return DataLoader(items(self.train_items, 1), self.batch_size, collate_fn=collate)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader:
        return DataLoader(items(64, 2), self.batch_size, collate_fn=collate)  # type: ignore[arg-type]


def build(**options: Any) -> StableAudioMuQ:
    torch.manual_seed(0)
    network = DiffusionTransformer(CHANNELS, FRAMES, dim=32, depth=2, heads=2, condition_dim=16, vector_dim=0)
    conditioning = Conditioning({"muq": EmbeddingConditioner(DIM, tokens=4, dim=16)}, ["muq"])
    options = {"optimizer": lambda groups: torch.optim.AdamW(groups, lr=3e-3), "sampler": Euler()} | options
    return StableAudioMuQ(network, conditioning, RectifiedFlow(), **options)


def fit(
    stage: L.LightningModule, folder: Path, train_items: int = 128, ckpt_path: Path | None = None, **given: Any
) -> L.Trainer:
    options: dict[str, Any] = {
        "max_epochs": 1,
        "callbacks": [],
        "enable_checkpointing": False,
        "accelerator": "cpu",
        "logger": False,
    }
    options |= given
    trainer = L.Trainer(
        enable_progress_bar=False, enable_model_summary=False,
        default_root_dir=folder, **options,
    )  # fmt: skip
    trainer.fit(stage, datamodule=Items(train_items=train_items), ckpt_path=ckpt_path)
    return trainer
