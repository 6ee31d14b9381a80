"""The plug-in slots of what a model can be told: encoders with frozen weights, and conditioners that learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from musegen.config import Configurable


class TextEncoder(Configurable, nn.Module, ABC):
    """A frozen, pretrained text encoder. Its weights never enter a checkpoint.

    An implementation encodes every caption so that its states do not depend on its neighbours in the batch.
    """

    dim: int
    """Width of a token's state."""

    max_tokens: int
    """Longest caption in tokens; longer ones are cut, with a warning."""

    revision: str
    """What the states depend on: the model's name and version. Part of a cache's hash and of a clip's fingerprint."""

    licence: str
    """SPDX name of the weights' licence."""

    @abstractmethod
    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Encode captions.

        Returns:
            States ``[batch, max_tokens, dim]`` in float32, zero where padding, and a mask ``[batch, max_tokens]``, True
            where a token is real. Both on the encoder's device.
        """


class Embedder(Configurable, nn.Module, ABC):
    """A frozen model that turns music (and, where it can, text) into unit vectors of one space.

    Its weights never enter a checkpoint.
    """

    dim: int
    sample_rate: int
    """Rate of the waveform that `embed_audio` takes, Hz."""

    window_seconds: float
    """Length of audio that one vector describes."""

    revision: str
    licence: str

    @abstractmethod
    def embed_audio(self, waveform: Tensor) -> Tensor:
        """Embed windows of mono audio, ``[batch, samples]`` → unit vectors ``[batch, dim]``, float32."""

    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Embed captions → unit vectors ``[batch, dim]``, float32.

        Raises:
            ValueError: if this embedder knows no text.
        """
        raise ValueError(f"{type(self).__name__} embeds audio only, not text")


class Conditioner(Configurable, nn.Module, ABC):
    """Turns one named thing of a batch into tokens. What it learns is part of the model's checkpoint."""

    dim: int
    """Width of a token."""

    reads: str
    """The key of a batch that it reads: ``caption``, ``embedding``, ``seconds_start``, ``seconds_total`` …"""

    @property
    def keys(self) -> tuple[str, ...]:
        """All keys of a batch that it may look at: the one that it reads, and what may be there in its place."""
        return (self.reads,)

    @abstractmethod
    def forward(self, batch: Mapping[str, Any]) -> tuple[Tensor, Tensor | None]:
        """Return tokens ``[batch, tokens, dim]`` and their mask ``[batch, tokens]`` (None: every token is real).

        Raises:
            ValueError: if the batch lacks what it reads.
        """

    def tensors(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """What it reads of a batch, by the keys it reads, with all done that does not learn, such as encoding text.

        In the batch's place these give the same tokens. Their shapes do not depend on the longest item.

        Raises:
            ValueError: if the batch lacks what it reads.
        """
        return {self.reads: self.read(batch)}

    def read(self, batch: Mapping[str, Any]) -> Any:
        """``batch[reads]``.

        Raises:
            ValueError: if the batch lacks it.
        """
        if self.reads not in batch:
            raise ValueError(f"{type(self).__name__}: expected {self.reads!r} in the batch, got {sorted(batch)}")
        return batch[self.reads]
