"""A judge of music and words that was fitted on rendered songs, apart from everything that generates."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musegen.conditioning.minilm import MiniLM
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.musicnn import MusicnnEmbedder
from musegen.metrics.hearing.base import Feature, Heard, Sound
from musegen.metrics.hearing.key import Key
from musegen.metrics.hearing.tempo import RATE, Tempo
from musegen.metrics.joint_numbers import HEARD, SAID, heard_numbers, said_numbers
from musegen.metrics.two_towers import TwoTowers, read_towers

SHIPPED = Path(__file__).parents[1] / "rendered_judge.safetensors"


class RenderedJudge(AudioEmbedder):
    """Music and text in one space of 128 numbers, by two small networks over frozen ears and a frozen reader.

    Of a clip it hears both musicnns (trained on recordings), pitch classes and tempo; of a caption it reads MiniLM's
    states, and tempo and key where they are named. ``scripts/fit_similarity.py`` fitted the networks between, on
    rendered songs of seeds of their own. No weight, no song and no network that hears is shared with the embedder that
    a model is conditioned on; MiniLM, which nobody trains, is. Of recordings it knows little.

    After "Learning Transferable Visual Models From Natural Language Supervision", 2021,
    https://arxiv.org/abs/2103.00020.

    Args:
        weights: file of ``scripts/fit_similarity.py``; None for the one that ships with musegen.
    """

    title = "rendered judge"
    sample_rate = RATE
    window_seconds = 12.0

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        self.weights = weights
        path = SHIPPED if weights is None else Path(weights)
        towers, about = read_towers(path)
        if (towers.sizes["heard"], towers.sizes["read"]) != (HEARD, SAID):
            got = f"{towers.sizes['heard']} and {towers.sizes['read']}"
            raise ValueError(f"{path}: expected towers for {HEARD} and {SAID} numbers, got {got}; fit them anew")
        self._towers, self.worth = towers, str(about.get("worth", ""))
        self.revision = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        self._parts = ears()
        self._reader, self._reading = MiniLM(), Lock()

    @property
    def parts(self) -> Sequence[Feature]:
        """Both musicnns, tempo and key, which other metrics hear too."""
        return self._parts

    def gathered(self, *heard: Heard) -> Heard:
        """``windows``: one unit vector for the whole clip, ``[1, 128]``, from what the `parts` heard."""
        numbers = torch.from_numpy(heard_numbers(*heard))[None]
        with torch.inference_mode():
            return {"windows": self._towers.embed_heard(numbers).numpy()}

    def load(self) -> TwoTowers:
        """The networks."""
        return self._towers

    def hear(self, sound: Sound) -> Heard:
        """``windows``: one unit vector for the whole clip, ``[1, 128]``."""
        for part in self._parts:
            if isinstance(part, MusicnnEmbedder):
                part.device = self.device
        return self.gathered(*(part.hear(sound) for part in self._parts))

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Unit vectors ``[n, 128]``, each of a window as a clip of its own."""
        heard = [np.asarray(self.hear(Sound(one[None].cpu(), self.sample_rate))["windows"]) for one in windows]
        return torch.from_numpy(np.concatenate(heard))

    @torch.inference_mode()
    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors of captions, ``[n, 128]``; each is read alone, so that its bits do not depend on the others."""
        with self._reading:
            vectors = []
            for caption in captions:
                states, mask = self._reader.encode([caption])
                read = torch.from_numpy(said_numbers(caption))[None]
                vectors.append(self._towers.embed_said(states.cpu(), mask.cpu(), read))
        return torch.cat(vectors)


def ears() -> list[Feature]:
    """What hears for `musegen.metrics.joint_numbers.heard_numbers`, in its order."""
    return [MusicnnEmbedder("MSD"), MusicnnEmbedder("MTT"), Tempo(), Key()]
