"""What a transformer block does to each token by itself."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn
from torch.nn import functional as F

Layer = TypeVar("Layer", bound=nn.Module)


class GatedLinear(nn.Module):
    """A linear map whose second half, through SiLU, gates the first.

    Source: Shazeer, GLU Variants Improve Transformer, 2020, https://arxiv.org/abs/2002.05202.

    Args:
        dim: width of a token.
        inner: width of the result.
    """

    def __init__(self, dim: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * inner)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., dim]`` to ``[..., inner]``."""
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.silu(gate)


class SwiGLU(nn.Module):
    """Gated feed-forward with biases. The last layer begins at zero.

    Args:
        dim: width of a token.
        multiple: inner width over ``dim``.
    """

    def __init__(self, dim: int, multiple: int = 4) -> None:
        super().__init__()
        # the third place of the published names; the second holds nothing that has weights
        self.ff = nn.Sequential(GatedLinear(dim, multiple * dim), nn.Identity(), zeroed(nn.Linear(multiple * dim, dim)))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., dim]`` to ``[..., dim]``."""
        return self.ff(x)


class MLP(nn.Module):
    """Two layers with a GELU between them. The last layer begins at zero.

    Args:
        dim: width of a token.
        multiple: inner width over ``dim``.
    """

    def __init__(self, dim: int, multiple: int = 4) -> None:
        super().__init__()
        self.ff = nn.Sequential(nn.Linear(dim, multiple * dim), nn.GELU(), zeroed(nn.Linear(multiple * dim, dim)))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., dim]`` to ``[..., dim]``."""
        return self.ff(x)


def embedder(width: int, dim: int, bias: bool = True) -> nn.Sequential:
    """Two layers with a SiLU between them, ``[..., width]`` → ``[..., dim]``: how times and conditions enter."""
    return nn.Sequential(nn.Linear(width, dim, bias=bias), nn.SiLU(), nn.Linear(dim, dim, bias=bias))


def modulator(dim: int) -> nn.Sequential:
    """What turns ``[..., dim]`` into the modulation of `musegen.nn.block.Block`, ``[..., 6 · dim]``; zero at first."""
    return nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), zeroed(nn.Linear(dim, 6 * dim)))


def zeroed(layer: Layer) -> Layer:
    """Set every parameter of a layer to zero, so that the branch it ends adds nothing at first."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
