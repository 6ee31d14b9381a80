"""CLAP as a judge, through the package transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.embedders.hub import load_local


class ClapEmbedder(AudioEmbedder):
    """Music and text in one space.

    "Large-scale contrastive language-audio pretraining with feature fusion and keyword-to-caption augmentation", 2022,
    https://arxiv.org/abs/2211.06687.

    Args:
        model: folder of a CLAP in transformers' format (such as a copy of ``laion/larger_clap_music``), or its name if
            it has been downloaded before.
    """

    sample_rate = 48000
    window_seconds = 10.0

    def __init__(self, model: str = "laion/larger_clap_music") -> None:
        super().__init__()
        self.model, self.title = model, "CLAP"

    def load(self) -> Any:
        """The network, with the processor of its inputs as its attribute ``processor``."""
        from transformers import ClapModel, ClapProcessor

        network = load_local(ClapModel, self.model).eval()
        network.processor = load_local(ClapProcessor, self.model)
        return network

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Unit vectors ``[n, dim]``."""
        extract = network.processor.feature_extractor
        inputs = extract(list(windows.cpu().numpy()), sampling_rate=self.sample_rate, return_tensors="pt")
        return _vectors(network.get_audio_features(**inputs.to(self.device)))

    @torch.inference_mode()
    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Unit vectors of captions, ``[n, dim]``."""
        network = self.network
        inputs = network.processor.tokenizer(list(captions), padding=True, truncation=True, return_tensors="pt")
        return _vectors(network.get_text_features(**inputs.to(self.device)))


def _vectors(output: Any) -> Tensor:
    """Of unit length; releases of transformers differ in whether they wrap them."""
    vectors = output if isinstance(output, Tensor) else output.pooler_output
    return torch.nn.functional.normalize(vectors, dim=-1)
