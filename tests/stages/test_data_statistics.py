"""Measuring data of which there is little."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from types import SimpleNamespace
from typing import Any

import lightning.pytorch as L
import pytest
import torch

from flow_runs import CHANNELS, DIM, FRAMES, build
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.stages import data_statistics
from musegen.stages.flow_stage import FlowStage
from musegen.stages.gathering import gather_items
from musegen.stages.text2muq import Text2MuQFlow


class Little(L.LightningDataModule):
    """One batch to learn from, one held out."""

    def __init__(self, train: dict[str, Any], val: dict[str, Any]) -> None:
        super().__init__()
        self.train, self.val = train, val

    def train_dataloader(self) -> list[dict[str, Any]]:
        return [self.train]

    def val_dataloader(self) -> list[dict[str, Any]]:
        return [self.val]


def embeddings() -> Text2MuQFlow:
    """Stage 1; what it is told does not matter here."""
    network = EmbeddingTransformer(16, 1, 2, embedding_dim=DIM, embedding_tokens=2, text_dim=16)
    conditioning = Conditioning({"muq": EmbeddingConditioner(DIM, tokens=2, dim=16)}, ["muq"])
    return Text2MuQFlow(network, conditioning, RectifiedFlow())


class Processes:
    """Threads that gather as processes do: what each brings has to have one shape."""

    def __init__(self, count: int) -> None:
        self.barrier, self.brought = Barrier(count, timeout=20), [torch.empty(0)] * count

    def gather(self, rank: int, tensor: torch.Tensor) -> torch.Tensor:
        self.brought[rank] = tensor
        self.barrier.wait()
        gathered = torch.stack(self.brought)
        self.barrier.wait()
        return gathered


def measured(stage: FlowStage, train: dict[str, Any], val: dict[str, Any]) -> FlowStage:
    stage.trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    stage.trainer.datamodule = Little(train, val)  # type: ignore[attr-defined]
    stage.statistics.measure(stage, fresh=True)
    return stage


def test_one_embedding_is_its_own_mean() -> None:
    item, held_out = torch.nn.functional.normalize(torch.randn(2, DIM, generator=torch.Generator().manual_seed(0)))
    with pytest.warns(UserWarning, match="one item has no deviation"):
        stage = measured(embeddings(), {"embedding": item[None]}, {"embedding": held_out[None]})
    assert torch.allclose(stage.model.statistics.mean, item)
    assert torch.equal(stage.model.statistics.std, torch.ones(DIM))
    floor = stage.statistics.floor
    assert floor is not None
    assert math.isfinite(floor)


def test_one_item_without_padding_is_enough() -> None:
    latents = 3 + torch.randn(3, CHANNELS, FRAMES, generator=torch.Generator().manual_seed(1))
    mask = torch.ones(3, FRAMES, dtype=torch.bool)
    stage = measured(build(), {"latents": latents[:1], "mask": mask[:1]}, {"latents": latents[:1], "mask": mask[:1]})
    assert torch.allclose(stage.model.statistics.mean, latents[0].mean(1))
    assert stage.statistics.floor is not None
    assert math.isfinite(stage.statistics.floor)
    mask[1:, -1] = False
    stage = measured(build(), {"latents": latents, "mask": mask}, {"latents": latents, "mask": mask})
    assert torch.allclose(stage.model.statistics.mean, latents.mean((0, 2)))


@pytest.mark.parametrize("counts", [(3, 0), (0, 2), (4, 4), (1, 5)])
def test_processes_measure_what_all_of_them_have(counts: tuple[int, int]) -> None:
    items = torch.randn(sum(counts), DIM, generator=torch.Generator().manual_seed(2))
    processes = Processes(2)

    def gathered(rank: int) -> torch.Tensor:
        stage: Any = SimpleNamespace(
            trainer=SimpleNamespace(world_size=2),
            device=torch.device("cpu"),
            all_gather=lambda tensor: processes.gather(rank, tensor),
        )
        return gather_items(stage, items.split(list(counts))[rank])

    with ThreadPoolExecutor(2) as threads:
        for everything in threads.map(gathered, range(2)):
            assert torch.equal(everything, items)


def test_no_batches_are_no_data() -> None:
    with pytest.raises(ValueError, match="embedding: expected batches to measure, got none"):
        data_statistics._items([], "embedding", 10)
