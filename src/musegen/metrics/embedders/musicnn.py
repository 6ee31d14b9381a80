"""Musicnn as a judge: its tags, and the layer before them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from musegen.metrics.embedders.base import BATCH, AudioEmbedder
from musegen.metrics.hearing.base import Heard, Sound
from musegen.metrics.musicnn.network import FRAMES, HOP, SAMPLE_RATE, TAGS, Dataset, Musicnn
from musegen.metrics.musicnn.spectrum import MusicnnSpectrum


class MusicnnEmbedder(AudioEmbedder):
    """The 200 numbers before musicnn's tags, one vector for three seconds, the tags, and what lies before both.

    "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019,
    https://arxiv.org/abs/1909.06654. Only its weights are needed (``pip install --no-deps musicnn==0.1.0``), no
    TensorFlow.

    Args:
        dataset: ``MSD`` for the Million Song Dataset's genres and moods, ``MTT`` for MagnaTagATune's instruments.
        every: hear one window of so many, where much is to be heard.
    """

    sample_rate = SAMPLE_RATE
    revision = "2"
    window_seconds = FRAMES * HOP / SAMPLE_RATE

    def __init__(self, dataset: Dataset = "MSD", every: int = 1) -> None:
        super().__init__()
        if dataset not in TAGS:
            raise ValueError(f"dataset: expected {' or '.join(TAGS)}, got {dataset!r}")
        if every < 1:
            raise ValueError(f"every: expected 1 or more, got {every}")
        self.dataset: Dataset = dataset
        self.every = every
        self.title = f"musicnn {dataset}"

    def load(self) -> nn.ModuleDict:
        """The network with the package's weights, and the spectrum that it sees."""
        return nn.ModuleDict({"spectrum": MusicnnSpectrum(), "tagger": Musicnn(self.dataset)}).eval()

    @torch.inference_mode()
    def hear(self, sound: Sound) -> Heard:
        """What is heard, and what lies before it.

        Returns:
            ``windows [n, 200]`` and the tags' ``logits [n, 50]``, one row for each window; ``pooled [1506]``, how much
            each filter responds, the mean over windows.
        """
        mel = self.network["spectrum"](sound.mono(SAMPLE_RATE).to(self.device))[:: self.every]
        tagger = self.network["tagger"]
        pooled = torch.cat([tagger.pooled(some) for some in mel.split(BATCH)])
        logits, embedding = tagger.described(pooled)
        return {
            "windows": embedding.cpu().numpy(),
            "logits": logits.cpu().numpy(),
            "pooled": pooled.mean(0).cpu().numpy(),
        }

    def embed(self, network: Any, windows: Tensor) -> Tensor:
        """Vectors ``[n, 200]`` of windows that hold one patch of the spectrum each."""
        return torch.cat([network["tagger"](network["spectrum"](one))[1][:1] for one in windows])
