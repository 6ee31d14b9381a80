"""A stand-in for ``python`` that runs scripts and ``musegen`` in processes that have imported everything already."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Sequence
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Thread
from typing import Any

PRELOAD = [
    "musegen.trainer_cli",
    "musegen.commands.cache",
    "musegen.commands.convert",
    "musegen.commands.render",
    "musegen.pipeline",
    "musegen.stages.caching_trainer",
    "musegen.stages.joint_embedding",
    "musegen.stages.oobleck_vae",
    "musegen.stages.regression",
    "musegen.stages.stable_audio_muq",
    "musegen.callbacks.ema",
    "tensorboard.backend.event_processing.event_accumulator",
    "transformers",
]


class Relay:
    """Serves, as long as its ``with`` lasts, a command at ``path``: ``path SCRIPT …`` or ``path musegen …``.

    Args:
        folder: for the command and its socket.
        more: modules that are imported beforehand too.
    """

    def __init__(self, folder: Path, more: Sequence[str] = ()) -> None:
        self._preload = [*PRELOAD, *more]
        self.path, self._address = folder / "relay", str(folder / "socket")
        self.path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {__file__} {self._address} "$@"\n')
        self.path.chmod(0o755)

    def __enter__(self) -> Relay:
        """Begin to serve."""
        self._listener = Listener(self._address)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """Stop."""
        with Client(self._address) as client:
            client.send(None)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(self._preload)
        while True:
            with self._listener.accept() as connection:
                asked = connection.recv()
                if asked is None:
                    return
                process = context.Process(target=_run, args=asked)
                process.start()
                process.join()
                connection.send(process.exitcode)


def _run(arguments: list[str], folder: str, printed: str) -> None:
    multiprocessing.set_start_method("fork", force=True)
    os.chdir(folder)
    file = os.open(printed, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = arguments
    if arguments[0] == "musegen":
        from musegen.cli import main

        main()
    else:
        sys.path.insert(0, os.path.dirname(arguments[0]))  # as python does
        runpy.run_path(arguments[0], run_name="__main__")


def _ask(connection: Connection, arguments: list[str]) -> int:
    connection.send((arguments, os.getcwd(), os.environ["RELAY_LOG"]))
    return int(connection.recv())


if __name__ == "__main__":
    with Client(sys.argv[1]) as connected:
        sys.exit(_ask(connected, sys.argv[2:]))
