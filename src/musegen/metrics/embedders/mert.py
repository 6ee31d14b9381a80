"""MERT as a judge, through the package transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.hub import load_local


class MertEmbedder(AudioEmbedder):
    """The mean over time of a layer's states.

    "MERT: Acoustic music understanding model with large-scale self-supervised training", 2023,
    https://arxiv.org/abs/2306.00107.

    Args:
        model: folder of a MERT in transformers' format, or its name if it has been downloaded before.
        layer: whose states; the last by default.
        trust_remote_code: MERT brings code of its own; say true to run it.
    """

    sample_rate = 24000
    window_seconds = 5.0

    def __init__(self, model: str = "m-a-p/MERT-v1-95M", layer: int = -1, trust_remote_code: bool = False) -> None:
        super().__init__()
        self.model, self.layer, self.trust_remote_code = model, layer, trust_remote_code
        self.title = "MERT"

    def load(self) -> Any:
        """The network."""
        from transformers import AutoModel

        return load_local(AutoModel, self.model, trust_remote_code=self.trust_remote_code).eval()

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Vectors ``[n, dim]`` of windows brought to zero mean and unit variance, as in its training."""
        spread = windows.std(-1, keepdim=True).clamp(min=1e-5)
        heard = network((windows - windows.mean(-1, keepdim=True)) / spread, output_hidden_states=True)
        return heard.hidden_states[self.layer].mean(1)
