"""Musicnn, a convolutional network that tags music, with the weights that its authors published.

"musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019, https://arxiv.org/abs/1909.06654.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from musegen.metrics.musicnn.checkpoint import read_checkpoint

Dataset = Literal["MSD", "MTT"]
"""What it was trained on: the Million Song Dataset (genres, moods) or MagnaTagATune (instruments, sounds)."""

SAMPLE_RATE, FFT, HOP, BANDS, FRAMES = 16000, 512, 256, 96, 187
POOLED = 1506
"""Numbers of the layer before the last two: the highest and the mean of each of 753 filters."""

TAGS: dict[Dataset, tuple[str, ...]] = {
    "MTT": (
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
        "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
        "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo",
        "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello",
        "no voice", "weird", "country", "metal", "female voice", "choral",
    ),
    "MSD": (
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
        "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow",
        "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
        "acoustic", "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country",
        "easy listening", "sexy", "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb",
        "indie pop", "sad", "House", "happy",
    ),
}  # fmt: skip
"""Names of the outputs, in order."""


class Musicnn(nn.Module):
    """Tags and a description of three seconds of music.

    Args:
        dataset: whose weights to load from the package ``musicnn``; None for random ones.

    Raises:
        ImportError: if the package is not installed.
    """

    def __init__(self, dataset: Dataset | None) -> None:
        super().__init__()
        self.norm = _Norm(1)
        self.timbral = nn.ModuleList(_Seen(204, (7, width), 3) for width in (38, 67))
        self.temporal = nn.ModuleList(_Seen(51, (length, 1), None) for length in (128, 64, 32))
        self.middle = nn.ModuleList(_Seen(64, (7, width), 3) for width in (561, 64, 64))
        self.pooled_norm = _Norm(POOLED)
        self.hidden = nn.Linear(POOLED, 200)
        self.hidden_norm = _Norm(200)
        self.output = nn.Linear(200, 50)
        if dataset is not None:
            self._load(weights(dataset))
        self.eval().requires_grad_(False)

    def forward(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the tags ``[batch, 50]`` and an embedding ``[batch, 200]`` of spectra ``[batch, 187, 96]``."""
        return self.described(self.pooled(mel))

    def pooled(self, mel: Tensor) -> Tensor:
        """The strongest and the mean response of 753 filters of all depths, ``[batch, POOLED]``."""
        x = self.norm(mel[:, None])
        front = torch.cat([block(x) for block in (*self.timbral, *self.temporal)], 1)
        first = self.middle[0](front.transpose(1, 2)[:, None])
        second = first + self.middle[1](first.transpose(1, 2)[:, None])
        third = second + self.middle[2](second.transpose(1, 2)[:, None])
        features = torch.cat([front, first, second, third], 1)
        return torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)

    def described(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the tags ``[batch, 50]`` and an embedding ``[batch, 200]`` of such responses."""
        embedding = self.hidden_norm(functional.relu(self.hidden(self.pooled_norm(pooled))))
        return self.output(embedding), embedding

    def _load(self, tensors: Mapping[str, np.ndarray]) -> None:
        def fill(parameter: Tensor, name: str, order: tuple[int, ...] | None = None) -> None:
            found = torch.from_numpy(tensors[name].copy())
            parameter.data.copy_(found if order is None else found.permute(order))

        blocks: list[Any] = [*self.timbral, *self.temporal, *self.middle]
        norms: list[Any] = [self.norm, *(block.norm for block in blocks), self.pooled_norm, self.hidden_norm]
        for number, norm in enumerate(norms):
            name = _numbered("batch_normalization", number)
            fill(norm.weight, f"{name}/gamma")
            fill(norm.bias, f"{name}/beta")
            fill(norm.running_mean, f"{name}/moving_mean")
            fill(norm.running_var, f"{name}/moving_variance")
        for number, block in enumerate(blocks):
            fill(block.filters.weight, f"{_numbered('conv2d', number)}/kernel", (3, 2, 0, 1))
            fill(block.filters.bias, f"{_numbered('conv2d', number)}/bias")
        for number, layer in enumerate((self.hidden, self.output)):
            fill(layer.weight, f"{_numbered('dense', number)}/kernel", (1, 0))
            fill(layer.bias, f"{_numbered('dense', number)}/bias")


class _Seen(nn.Module):
    """Filters over a spectrum, the strongest response over its bands: ``[b, 1, frames, bands]`` → ``[b, out, frames]``.

    Args:
        out: how many filters.
        kernel: frames and bands that a filter sees.
        padding: frames on both sides; None to keep their number as TensorFlow does.
    """

    def __init__(self, out: int, kernel: tuple[int, int], padding: int | None) -> None:
        super().__init__()
        before, after = ((kernel[0] - 1) // 2, kernel[0] // 2) if padding is None else (padding, padding)
        self.around = (0, 0, before, after)
        self.filters = nn.Conv2d(1, out, kernel)
        self.norm = _Norm(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(functional.relu(self.filters(functional.pad(x, self.around)))).amax(3)


class _Norm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over axis 1 of anything, with TensorFlow's constant."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-3)

    def _check_input_dim(self, input: Tensor) -> None:
        pass


def _numbered(name: str, number: int) -> str:
    return f"{name}_{number}" if number else name


@cache
def weights(dataset: Dataset) -> dict[str, np.ndarray]:
    """The published weights, out of the package ``musicnn``, whose code is not run.

    Raises:
        ImportError: if it is not installed.
    """
    found = importlib.util.find_spec("musicnn")
    if found is None or not found.submodule_search_locations:
        raise ImportError("musicnn judges by its weights: pip install --no-deps musicnn==0.1.0")
    folder = Path(next(iter(found.submodule_search_locations))) / f"{dataset}_musicnn"
    return read_checkpoint(f"{folder}/")
