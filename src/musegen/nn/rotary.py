"""Positions as rotations of pairs of query and key dimensions."""

from __future__ import annotations

import torch
from torch import Tensor

from musegen.nn.precise import Precise

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines, ``[length, width / 2]`` each, float32."""


class RotaryEmbedding(Precise):
    """Angles of rotary positions: dimension pair i turns by ``position · base^(-2i / width)``.

    Source: Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021,
    https://arxiv.org/abs/2104.09864.

    Args:
        width: how many dimensions of a head turn, an even number; the others stay as they are.
        base: wavelength of the slowest pair, in units of 2π positions.
    """

    inv_freq: Tensor

    def __init__(self, width: int, base: float = 10000.0) -> None:
        super().__init__()
        self.width = width
        self.base = base
        # Published checkpoints carry the frequencies, some of them rounded to half precision: they are stored under the
        # same name, and computed anew wherever they are used.
        self.register_buffer("inv_freq", self._frequencies(None))

    def _frequencies(self, device: torch.device | None) -> Tensor:
        exponent = torch.arange(0, self.width, 2, device=device).float() / self.width
        return 1.0 / (self.base**exponent)

    def forward(self, length: int) -> Rotation:
        """Return the rotation of positions 0 … length - 1."""
        device = self.inv_freq.device
        angles = torch.arange(length, device=device).float()[:, None] * self._frequencies(device)
        return angles.cos(), angles.sin()


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn the first dimensions of every head, in float32.

    Dimension i is paired with dimension i + width / 2, as in stable-audio-tools.

    Args:
        x: queries or keys, ``[..., length, head_dim]``, or in another order that the rotation has been shaped for.
        rotation: what `RotaryEmbedding` returned for this length.

    Returns:
        The same shape and dtype as ``x``.
    """
    cos, sin = rotation
    width = 2 * cos.shape[-1]
    first, second = x[..., :width].float().chunk(2, dim=-1)
    turned = torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)
    return torch.cat((turned, x[..., width:]), dim=-1)
