"""The slot of a discriminator of audio, and the losses that it and its generator learn by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from musegen.config import Configurable


@dataclass(frozen=True)
class Verdict:
    """What one judge says of a batch of audio.

    Args:
        score: positive where it seems real, ``[batch, 1, …]``.
        features: the activations on the way there, each ``[batch, channels, …]``.
    """

    score: Tensor
    features: list[Tensor]


class Discriminator(Configurable, nn.Module, ABC):
    """One or more judges that tell real audio from reconstructions. Not part of an exported model."""

    @abstractmethod
    def forward(self, audio: Tensor) -> list[Verdict]:
        """Judge ``[batch, channels, samples]``, one verdict for each judge."""


def discriminator_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """The judges' hinge loss ("Geometric GAN", 2017, https://arxiv.org/abs/1705.02894); 2 where they know nothing."""
    losses = [
        (1 - truth.score.float()).relu().mean() + (1 + forgery.score.float()).relu().mean()
        for truth, forgery in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def adversarial_loss(fake: Sequence[Verdict]) -> Tensor:
    """What the generator minimises: minus the mean score of its output."""
    return -torch.stack([verdict.score.float().mean() for verdict in fake]).mean()


def feature_matching_loss(real: Sequence[Verdict], fake: Sequence[Verdict]) -> Tensor:
    """Mean absolute difference of features, relative to each item's real ones, over all layers of all judges.

    "Autoencoding beyond pixels using a learned similarity metric", 2015, https://arxiv.org/abs/1512.09300; relative as
    in "High Fidelity Neural Audio Compression", 2022, https://arxiv.org/abs/2210.13438. The real features get no
    gradient.
    """
    losses = []
    for truth, forgery in zip(real, fake, strict=True):
        for wanted, got in zip(truth.features, forgery.features, strict=True):
            wanted, axes = wanted.detach().float(), tuple(range(1, wanted.ndim))
            difference = (got.float() - wanted).abs().mean(axes)
            losses.append((difference / wanted.abs().mean(axes).clamp(min=1e-6)).mean())
    return torch.stack(losses).mean()
