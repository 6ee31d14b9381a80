"""Audio that a user drops into the page: bounded in size and length, and decoded in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from musegen.app.work import decoding

MAX_BYTES = 64 << 20
MAX_SECONDS = 600.0
WAIT = 90.0


@dataclass(frozen=True, eq=False)
class Upload:
    """A decoded file.

    Args:
        audio: ``[1 or 2, samples]``, float32.
        rate: Hz.
        name: what it was called, without folders and suffix.
    """

    audio: Tensor
    rate: int
    name: str


def read_upload(path: str | Path, longest: float = MAX_SECONDS) -> Upload:
    """Decode an uploaded file.

    Args:
        path: where the server put it.
        longest: seconds.

    Raises:
        ValueError: in a sentence, if it is too large, too long, or no audio.
    """
    path = Path(path)
    name = path.name[:80]
    try:
        size = path.stat().st_size
    except OSError:
        raise ValueError(f"{name}: the file did not arrive, please drop it again") from None
    if size > MAX_BYTES:
        raise ValueError(f"{name}: expected a file of at most {MAX_BYTES >> 20} MB, got {size / (1 << 20):.0f} MB")
    if not size:
        raise ValueError(f"{name}: expected an audio file, got an empty one")
    header, _, content = _decode(path, longest).partition(b"\n")
    try:
        said = json.loads(header)
    except ValueError:
        raise ValueError(f"{name}: expected an audio file, got one that its decoder cannot read") from None
    if "problem" in said:
        raise ValueError(f"{name}: expected an audio file (WAV, FLAC, OGG, MP3 …), got {said['problem']}")
    samples = torch.frombuffer(bytearray(content), dtype=torch.float32).unflatten(0, (said["channels"], -1))
    return Upload(samples, said["rate"], path.stem[:100])


def _decode(path: Path, longest: float) -> bytes:
    command = [sys.executable, "-I", decoding.__file__, str(path), str(longest)]
    # libraries of numbers set aside memory for every thread, out of the little that is allowed
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=WAIT, check=False, env=environment)
    except subprocess.TimeoutExpired:
        return b""
    return done.stdout if done.returncode == 0 else b""
