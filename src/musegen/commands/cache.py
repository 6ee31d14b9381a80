"""Encode shards of audio once, as embeddings and latents to train on."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from musegen.checkpoints import load_model, read_licences
from musegen.conditioning.base import Embedder
from musegen.data.cache import Encoder, cache_folder, part_of
from musegen.data.shard_index import read_index
from musegen.devices import choose_device
from musegen.fingerprint import hash_weights
from musegen.models.oobleck import OobleckAutoencoder
from musegen.plugins import choose


def cache(
    audio: Path,
    out: Path,
    embedder: str | None = "spectral",
    codec: Path | None = None,
    device: str = "auto",
    samples_per_shard: int = 500,
) -> None:
    """Encode a folder of audio shards.

    Start it again to go on after an interruption. Under torchrun or srun every process encodes its own part.

    Args:
        audio: folder of shards with audio.
        out: folder of the result.
        embedder: "spectral", "muq_mulan", a class path, its recipe in JSON, such as {"class_path":
            "musegen.conditioning.muq_mulan.MuQMuLan", "init_args": {"model": "FOLDER"}}, or null for none.
        codec: model folder of an Oobleck VAE; null for no latents.
        device: auto, cpu, cuda, cuda:1 …
        samples_per_shard: of the result.
    """
    rank, world = _place()
    if device == "auto" and torch.cuda.is_available():
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', 0))}"
    place = choose_device(device)
    if embedder is None and codec is None:
        raise ValueError("expected an embedder or a codec, got neither: there is nothing to encode")
    net = None if embedder is None else choose(embedder, Embedder, "musegen.conditioning").to(place).eval()
    vae = None if codec is None else load_model(codec, OobleckAutoencoder).to(place).eval()
    licences = () if codec is None else read_licences(codec)
    encode = Encoder(net, vae, None if vae is None else hash_weights(vae), place, licences)
    total = part_of(read_index(audio).samples, rank, world)

    from rich.console import Console
    from rich.progress import track

    done = cache_folder(audio, out, encode, samples_per_shard, rank, world)
    new = sum(track(done, f"encoding, part {rank + 1} of {world}", total, console=Console(stderr=True)))
    print(f"{out}: {new} encoded, {total - new} were there already")


def _place() -> tuple[int, int]:
    """This process's rank and the number of processes, as torchrun or SLURM say."""
    for rank, world in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")):
        if rank in os.environ and world in os.environ:
            return int(os.environ[rank]), int(os.environ[world])
    return 0, 1
