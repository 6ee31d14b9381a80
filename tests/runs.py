"""Runs of ``musegen fit`` and ``predict`` in processes of their own, on one process or several."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TESTS = Path(__file__).parent
TIMEOUT = 120
PRELOAD = [
    "musegen.trainer_cli",
    "musegen.stages.stable_audio_muq",
    "musegen.stages.caching_trainer",
    "musegen.callbacks.ema",
    "musegen.commands.cache",
]
CPU = {
    "accelerator": "cpu",
    "devices": 1,
    "use_distributed_sampler": False,
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


@dataclass(frozen=True)
class Ended:
    """How a run ended: exit status of each process, and all that they printed."""

    status: list[int | None]
    printed: str

    @property
    def complaints(self) -> list[str]:
        """The lines by which the command says no."""
        return [line for line in self.printed.splitlines() if line.startswith("musegen")]


def command(*arguments: str, folder: Path) -> Ended:
    """Run ``python …`` as from a shell, in a folder."""
    paths = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "MASTER_PORT": str(free_port())}
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, text=True, timeout=TIMEOUT, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return Ended([done.returncode], done.stdout)


def forked(*arguments: str, folder: Path, processes: int = 1) -> Ended:
    """Run ``musegen …`` in processes that have imported everything already: a second each, not ten.

    Several are given the environment that a cluster would give them, so that Lightning starts none by itself.
    """
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "NODE_RANK": "0"}
    running, logs = [], []
    for rank in range(processes):
        logs.append(folder / f".printed{rank}")
        environment = {**shared, "LOCAL_RANK": str(rank)} if processes > 1 else {}
        running.append(fork(*arguments, environment=environment, folder=folder, log=logs[-1]))
    for process in running:
        process.join(TIMEOUT)
        process.kill()
        process.join()
    printed = "".join(log.read_text() for log in logs)
    for log in logs:
        log.unlink()
    return Ended([process.exitcode for process in running], printed)


def fork(*arguments: str, environment: dict[str, str], folder: Path, log: Path) -> Any:
    """Start ``musegen …`` in a process that has imported everything already; what it prints goes into a file."""
    context: Any = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    folder.mkdir(parents=True, exist_ok=True)
    process = context.Process(target=_run, args=(list(arguments), environment, folder, log))
    process.start()
    return process


def _run(arguments: list[str], environment: dict[str, str], folder: Path, log: Path) -> None:
    multiprocessing.set_start_method("fork", force=True)  # for workers of loaders, as in a process of its own
    os.environ.update(environment)
    os.chdir(folder)
    file = os.open(log, os.O_CREAT | os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["musegen", *arguments]
    from musegen.cli import main

    main()


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def config(path: Path, **sections: Any) -> str:
    """Write a YAML file; give its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(sections))
    return str(path)


def spec(class_path: str, **arguments: Any) -> dict[str, Any]:
    """A class and its arguments, as YAML names them."""
    return {"class_path": class_path, "init_args": arguments}


ADAMW = spec("torch.optim.AdamW", lr=1e-2, weight_decay=0.1, eps=1e-6)  # so that rounding moves no idle weight


def stage_1(**options: Any) -> dict[str, Any]:
    """A little Text2MuQFlow over `little_shards`."""
    network = spec(
        "musegen.models.embedding_transformer.EmbeddingTransformer",
        dim=32, depth=2, heads=2, embedding_dim=8, embedding_tokens=2, text_dim=24,
    )  # fmt: skip
    caption = spec("musegen.conditioning.caption.CaptionConditioner", encoder=spec("tiny.TinyEncoder"))
    conditioning = spec(
        "musegen.conditioning.conditioning.Conditioning", conditioners={"caption": caption}, cross_attention=["caption"]
    )
    settings = {"normalise_output": True, "steps": 3, "condition_dropout": 0.5, "optimizer": ADAMW, **options}
    path = spec("musegen.flow.paths.rectified.RectifiedFlow")
    return spec(
        "musegen.stages.text2muq.Text2MuQFlow", network=network, conditioning=conditioning, path=path, **settings
    )


def stage_2(**options: Any) -> dict[str, Any]:
    """A little StableAudioMuQ over `little_shards`."""
    network = spec(
        "musegen.models.diffusion_transformer.DiffusionTransformer",
        channels=4, frames=16, dim=32, depth=2, heads=2, condition_dim=16, vector_dim=32,
    )  # fmt: skip
    muq = spec("musegen.conditioning.embedding.EmbeddingConditioner", embedding_dim=8, tokens=2, dim=16)
    seconds = {
        name: spec("musegen.conditioning.seconds.SecondsConditioner", reads=name, dim=16)
        for name in ("seconds_start", "seconds_total")
    }
    conditioning = spec(
        "musegen.conditioning.conditioning.Conditioning",
        conditioners={"muq": muq, **seconds}, cross_attention=["muq", *seconds], vector=[*seconds],
    )  # fmt: skip
    settings = {"steps": 3, "condition_dropout": 0.5, "optimizer": ADAMW, **options}
    path = spec("musegen.flow.paths.cosine.CosinePath")
    return spec(
        "musegen.stages.stable_audio_muq.StableAudioMuQ",
        network=network, conditioning=conditioning, path=path, **settings,
    )  # fmt: skip
