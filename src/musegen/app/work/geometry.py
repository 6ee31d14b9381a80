"""Moving on the sphere that embeddings lie on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from musegen.flow.noise import item_noise


def between(first: Tensor, second: Tensor, share: float | Tensor) -> Tensor:
    """The point on the great circle from one unit vector to another: ``share`` 0 gives the first, 1 the second.

    Shoemake, "Animating rotation with quaternion curves" (1985), https://doi.org/10.1145/325165.325242.

    Args:
        first: ``[..., dim]``.
        second: ``[..., dim]``.
        share: a number, or ``[..., 1]``.

    Returns:
        Unit vectors ``[..., dim]``. Between opposite points no way is the shortest: it then leads straight through.
    """
    angle = torch.arccos((first * second).sum(-1, keepdim=True).clamp(-1, 1))
    straight = (1 - share) * first + share * second
    sine = torch.sin(angle)
    curved = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * second) / sine.clamp(min=1e-6)
    return normalize(torch.where(sine < 1e-4, straight, curved), dim=-1)


def stops(first: Tensor, second: Tensor, count: int) -> Tensor:
    """``count`` points at equal angles from one unit vector to another, both included: ``[count, dim]``."""
    return between(first, second, torch.linspace(0, 1, count)[:, None])


def around(centre: Tensor, seeds: list[int], spread: float) -> Tensor:
    """A unit vector's neighbours ``[seeds, dim]``, each in a random direction of its own seed.

    Args:
        centre: ``[dim]``.
        seeds: one for each.
        spread: the angle, from 0 (the same) to 1 (a right angle).
    """
    noise = item_noise(seeds, tuple(centre.shape), "variation")
    tangent = normalize(noise - (noise @ centre)[:, None] * centre, dim=-1)
    return between(centre.expand_as(tangent), tangent, spread)


def combined(plus: list[Tensor], minus: list[Tensor]) -> Tensor:
    """The direction of a sum of unit vectors less others, ``[dim]``.

    Raises:
        ValueError: if nothing is left of it.
    """
    total = torch.stack([*plus, *(-vector for vector in minus)]).sum(0)
    if total.norm() < 1e-3:
        raise ValueError("the terms cancel out: nothing is left to listen to")
    return normalize(total, dim=0)
