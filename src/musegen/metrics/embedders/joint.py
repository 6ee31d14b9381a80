"""Any of musegen's own embedders of music as a judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from musegen.conditioning.base import Embedder
from musegen.metrics.embedders.base import AudioEmbedder


class FromConditioning(AudioEmbedder):
    """An embedder of ``musegen.conditioning``, such as MuQ-MuLan or a trained joint embedder, as a judge.

    It must not be the one that the judged model was conditioned on.

    Args:
        embedder: of music, and of text if it is to judge captions.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder
        self.title = type(embedder).__name__
        self.revision = embedder.revision
        self.sample_rate, self.window_seconds = embedder.sample_rate, embedder.window_seconds

    def load(self) -> Embedder:
        """The embedder as it is."""
        return self.embedder.eval()

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Unit vectors ``[n, dim]``."""
        return network.embed_audio(windows)

    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors of captions, ``[n, dim]``."""
        return self.network.embed_text(captions)
