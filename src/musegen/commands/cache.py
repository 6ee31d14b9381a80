"""Encode shards of audio once, as embeddings, latents and text states to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from musegen.checkpoints import load_model, read_licences
from musegen.conditioning.base import Embedder, TextEncoder
from musegen.data.cache import Cache
from musegen.data.encoder import Encoder
from musegen.data.progress_line import ProgressLine
from musegen.devices import choose_device
from musegen.fingerprint import hash_weights
from musegen.models.oobleck import OobleckAutoencoder
from musegen.plugins import choose

ROOM_OF_ENCODERS = "musegen.conditioning"


def cache(
    audio: Path,
    out: Path,
    embedder: str | dict[str, Any] | None = "spectral",
    codec: Path | None = None,
    text: str | dict[str, Any] | None = None,
    device: str = "auto",
    devices: int | None = None,
    nodes: int | None = None,
    samples_per_shard: int = 500,
    batch: int = 8,
    threads: int = 1,
    trust_plugins: list[str] | None = None,
) -> None:
    """Encode a folder of audio shards.

    Start it again to go on after an interruption, on any number of processes: the result is the same to the last byte.
    Under torchrun or srun every process encodes its share of the shards.

    Args:
        audio: folder of shards with audio.
        out: folder of the result.
        embedder: "spectral", "muq_mulan", a class path, its recipe, such as {"class_path":
            "musegen.conditioning.muq_mulan.MuQMuLan", "init_args": {"model": "FOLDER"}}, or null for none.
        codec: model folder of an Oobleck VAE; null for no latents.
        text: "minilm", "t5", a class path or a recipe of a text encoder, whose states of each caption are kept; null
            for none.
        device: auto, cpu, cuda, cuda:1 …
        devices: processes to start on this host, one a GPU; by default one, or what torchrun or srun started.
        nodes: hosts; by default one, or what torchrun or srun started.
        samples_per_shard: of the result.
        batch: windows of latents that are computed together.
        threads: of each process on a CPU, where another number may give other last bits.
        trust_plugins: packages besides musegen whose classes an option or the codec's folder may name. Their code runs.
    """
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    place, trust = choose_device(device), trust_plugins or ()
    net = None if embedder is None else choose(embedder, Embedder, ROOM_OF_ENCODERS, trust)
    states = None if text is None else choose(text, TextEncoder, ROOM_OF_ENCODERS, trust)
    vae = None if codec is None else load_model(codec, OobleckAutoencoder, trust=trust)
    name = None if vae is None else hash_weights(vae)
    encoder = Encoder(net, vae, name, states, () if codec is None else read_licences(codec), batch).eval()
    with Cache(audio, out, encoder, samples_per_shard) as work:
        from musegen.stages.caching import Caching
        from musegen.stages.caching_trainer import caching_trainer

        trainer = caching_trainer(place, devices, nodes)
        caching = Caching(work, ProgressLine("encoding"))
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            trainer.predict(caching, return_predictions=False)
        finally:
            torch.set_num_threads(before)
        if trainer.is_global_zero:
            print(f"{out}: {caching.missing} encoded, {work.samples - caching.missing} were there already")
