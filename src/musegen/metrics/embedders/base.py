"""The slot for what turns music into vectors that can be compared: one network a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musegen.metrics.hearing.base import Feature, Heard, Sound

BATCH = 32
"""Windows that a network sees at a time."""


class AudioEmbedder(Feature):
    """Describes windows of a clip by vectors, which need not be of unit length.

    A subclass loads its network in `load` (called once, before the first clip) and applies it in `embed`.
    """

    title: str
    """What reports call it."""

    sample_rate: int
    window_seconds: float

    worth: str = ""
    """What is known of how well it judges, for reports to say beside its figures."""

    def __init__(self) -> None:
        super().__init__()
        self.device = torch.device("cpu")
        self._network: Any = None
        self._lock = Lock()

    @abstractmethod
    def load(self) -> Any:
        """Make the network, on a CPU.

        Raises:
            ImportError: in one line, if its package is not installed.
            OSError: or ValueError, in one line, if its weights are not there.
        """

    @abstractmethod
    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Vectors ``[n, dim]`` of windows of mono audio ``[n, samples]``."""

    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Vectors of captions in the same space, ``[n, dim]``.

        Raises:
            ValueError: if it knows no text.
        """
        raise ValueError(f"{self.title} embeds audio only, not text")

    @property
    def network(self) -> Any:
        """The network, on its device."""
        with self._lock:
            if self._network is None:
                network = self.load()
                self._network = network.to(self.device) if hasattr(network, "to") else network
        return self._network

    @torch.inference_mode()
    def hear(self, sound: Sound) -> Heard:
        """``windows``: one vector for each window of the clip, ``[n, dim]``, float32; at least one."""
        windows = cut(sound.mono(self.sample_rate), round(self.window_seconds * self.sample_rate))
        vectors = [self.embed(self.network, some.to(self.device)).float().cpu() for some in windows.split(BATCH)]
        return {"windows": torch.cat(vectors).numpy()}

    @property
    def parts(self) -> Sequence[Feature]:
        """What must be heard for `gathered`: itself, unless it reads what other features hear anyway."""
        return [self]

    def gathered(self, *heard: Heard) -> Heard:
        """What `hear` would say, from what its `parts` heard."""
        (own,) = heard
        return own

    def clip_vector(self, heard: Heard) -> np.ndarray:
        """One unit vector for a clip, ``[dim]``: the direction of the mean of its windows."""
        mean = np.asarray(heard["windows"], np.float64).mean(0)
        return mean / max(float(np.linalg.norm(mean)), 1e-12)


def cut(mono: Tensor, samples: int) -> Tensor:
    """Windows ``[n, samples]`` that follow each other; a clip that is too short is repeated until it fills one.

    What is left over after the last whole window is not heard.
    """
    if len(mono) < samples:
        mono = mono.repeat(-(-samples // max(1, len(mono))))[:samples]
    whole = len(mono) // samples
    return mono[: whole * samples].unflatten(0, (whole, samples))
