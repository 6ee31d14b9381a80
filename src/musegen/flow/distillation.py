"""Distilling a flow model to few steps: learning where its steps lead from where a sampler's steps went."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from musegen.flow.field import Field
from musegen.flow.noise import training_uniform
from musegen.flow.paths.base import Path
from musegen.flow.samplers.base import Sampler

PAIRS = 64
"""The first stream of an item's randomness that pairs are drawn from; there are three for each pair."""


@torch.no_grad()
def trajectory(field: Field, x0: Tensor, sampler: Sampler, times: Tensor) -> Tensor:
    """A teacher's way from noise to data, and all its stops.

    Args:
        field: the teacher, guided as the student is to be.
        x0: noise, ``[batch, *shape]``.
        sampler: deterministic.
        times: ``[steps + 1]`` from 0 to 1, float64, on the CPU.

    Returns:
        ``[steps + 1, batch, *shape]``, the noise first.

    Raises:
        ValueError: for a sampler that draws noise: a step of it leads to more than one place.
    """
    if sampler.stochastic:
        raise ValueError(f"sampler: expected a deterministic one to distil, got {type(sampler).__name__}")
    return torch.stack([x0, *sampler.trajectory(field, x0, times, _no_noise)])


def draw_pairs(seeds: Tensor, steps: int, few: Sequence[int], pairs: int) -> tuple[Tensor, Tensor]:
    """Draw which stops a step goes from and to, several for each item.

    Half of the steps are those of a student that takes as many as ``few`` says; the other half lie between any two
    stops, so that other numbers of steps, and generations that begin with given data, are no unknown ground.

    Args:
        seeds: one for each item, ``[batch]``, int64.
        steps: how many the teacher takes, a multiple of each of ``few``.
        few: numbers of steps to be good at.
        pairs: how many for each item.

    Returns:
        Places of the stops in a trajectory, earlier and later, ``[pairs, batch]`` each, int64.
    """
    drawn = [[training_uniform(seeds, PAIRS + 3 * pair + number) for number in range(3)] for pair in range(pairs)]
    kind, where, which = (torch.stack([uniforms[number] for uniforms in drawn]) for number in range(3))
    # of so many steps, one
    counts = torch.stack([torch.full_like(seeds, count) for count in few])[:, 0]
    count = counts[(which * len(few)).long()]
    width = steps // count
    begin = (where * count).long() * width
    # any two different stops: one of the first, a later one of those that remain
    first = (where * steps).long()
    second = first + 1 + (which * (steps - first)).long()
    aligned = kind < 0.5
    return torch.where(aligned, begin, first), torch.where(aligned, begin + width, second)


def targets(path: Path, stops: Tensor, times: Tensor, begin: Tensor, end: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a student is shown and has to say for pairs of stops.

    Args:
        path: of both models.
        stops: a trajectory, ``[steps + 1, batch, *shape]``.
        times: of the stops, ``[steps + 1]``, on any device.
        begin: places where steps begin, ``[pairs, batch]``.
        end: places where they end.

    Returns:
        The noisy items ``[pairs · batch, *shape]``, their times ``[pairs · batch, 2]`` (begin and end), and the
        predictions that lead from the one to the other.
    """
    items = torch.arange(begin.shape[1], device=begin.device).expand_as(begin)
    x, reached = (stops[place, items].flatten(0, 1) for place in (begin, end))
    times = times.to(stops.device, torch.float32)
    times = torch.stack((times[begin.flatten()], times[end.flatten()]), dim=1)
    return x, times, path.leading(x, times[:, 0], reached, times[:, 1])


def _no_noise(step: int) -> Tensor:
    raise AssertionError(f"a deterministic sampler asked for noise at step {step}")
