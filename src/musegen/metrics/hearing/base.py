"""What is heard in one clip, before anything is judged: numbers that depend on its sound alone, and can be kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from musegen.audio import resample
from musegen.config import Configurable
from musegen.data.shard_index import digest

Heard = Mapping[str, "np.ndarray | np.generic"]
"""Named numbers about one clip."""


class Sound:
    """The audio of a clip, at any rate; each is computed once.

    Args:
        audio: ``[channels, samples]``, full scale at ±1.
        sample_rate: Hz.
    """

    def __init__(self, audio: Tensor, sample_rate: int) -> None:
        self.audio, self.sample_rate = audio, sample_rate
        self._mono: dict[int, Tensor] = {}

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.audio.shape[-1] / self.sample_rate

    @cached_property
    def centre(self) -> Tensor:
        """Mean of the channels, ``[samples]``."""
        return self.audio.mean(0)

    def mono(self, sample_rate: int) -> Tensor:
        """Mean of the channels at a rate, ``[samples]``; at least one sample."""
        if sample_rate not in self._mono:
            there = self.centre if self.centre.numel() else torch.zeros(1)
            self._mono[sample_rate] = resample(there, self.sample_rate, sample_rate)
        return self._mono[sample_rate]


class Feature(Configurable, ABC):
    """Something to be heard in a clip. Its results are kept by the file's hash and by `identity`.

    `hear` is called from several threads at once.
    """

    revision: str = "1"
    """What the numbers depend on besides the arguments; raise it when the computation changes."""

    @property
    def identity(self) -> str:
        """A hash of the class, its arguments and its revision."""
        return digest({"feature": self.config, "revision": self.revision})[:16]

    @abstractmethod
    def hear(self, sound: Sound) -> Heard:
        """Listen to a clip of any length, silent ones included."""
