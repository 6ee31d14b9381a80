"""PaSST as a judge, through its package."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from musegen.metrics.embedders.base import AudioEmbedder


class PasstEmbedder(AudioEmbedder):
    """The layer before PaSST's tags of sounds.

    "Efficient training of audio transformers with Patchout", 2021, https://arxiv.org/abs/2110.05069. It fetches its
    weights itself when it is first used.
    """

    title = "PaSST"
    sample_rate = 32000
    window_seconds = 10.0

    def load(self) -> Any:
        """The network with its spectrum.

        Raises:
            ImportError: without its package.
        """
        try:
            from hear21passt.base import get_basic_model
        except ImportError:
            raise ImportError("PaSST judges through its package: pip install --no-deps hear21passt timm") from None
        return get_basic_model(mode="embed_only").eval()

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Vectors ``[n, 768]``."""
        return network(windows)
