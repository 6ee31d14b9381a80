"""A trainer that caches: processes that share nothing but the list of what is to be done."""

from __future__ import annotations

import logging
import os
import re
import warnings
from datetime import timedelta
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.plugins.environments import SLURMEnvironment, TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy

PATIENCE = timedelta(days=30)
"""How long a process that is done waits for one that is not."""

UNHELPFUL = (
    "The 'predict_dataloader' does not have many workers",
    "Total length of `DataLoader` across ranks is zero",
    "The `srun` command is available on your system",
    "`isinstance(treespec, LeafSpec)` is deprecated",
)
"""Warnings of Lightning about what is as it should be here."""


def caching_trainer(device: torch.device, devices: int | None = None, nodes: int | None = None) -> L.Trainer:
    """Make a trainer.

    Args:
        device: what each process computes on; of a GPU with a number, only that one is used.
        devices: processes on this host; by default what torchrun or srun started, else one.
        nodes: hosts; likewise.

    Raises:
        ValueError: for numbers below 1 or others than torchrun or srun started, and where srun does not say how many
            each host has.
    """
    started = launched()
    here, hosts = started or (1, 1)
    for name, asked, there in (("devices", devices, here), ("nodes", nodes, hosts)):
        if asked is not None and asked < 1:
            raise ValueError(f"{name}: expected 1 or more, got {asked}")
        if asked is not None and started is not None and asked != there:
            raise ValueError(f"{name}: expected {there}, which is what was launched, got {asked}")
    here, hosts = devices or here, nodes or hosts
    for talk in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(f"{talk}.utilities.rank_zero").setLevel(logging.ERROR)
    for message in UNHELPFUL:
        warnings.filterwarnings("ignore", re.escape(message))
    # gloo: what is exchanged are lists of numbers, and NCCL gives up after half an hour
    several: Any = DDPStrategy(process_group_backend="gloo", timeout=PATIENCE) if here * hosts > 1 else "auto"
    chosen: Any = [device.index] if device.index is not None and here == 1 and device.type == "cuda" else here
    return L.Trainer(
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=chosen,
        num_nodes=hosts,
        strategy=several,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def launched() -> tuple[int, int] | None:
    """Processes on each host and hosts, as torchrun or srun started them; None if neither did."""
    if TorchElasticEnvironment.detect():
        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        return here, int(os.environ["WORLD_SIZE"]) // here
    if SLURMEnvironment.detect():
        if int(os.environ["SLURM_NTASKS"]) > 1 and "SLURM_NTASKS_PER_NODE" not in os.environ:
            raise ValueError("srun: expected --ntasks-per-node, which Lightning asks for, got --ntasks alone")
        hosts = int(os.environ.get("SLURM_NNODES", os.environ.get("SLURM_JOB_NUM_NODES", "1")))
        return int(os.environ["SLURM_NTASKS"]) // hosts, hosts
    return None
