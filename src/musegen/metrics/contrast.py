"""Fitting two towers: what was heard in a song and what is said of it find each other among others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from musegen.metrics.two_towers import TwoTowers

SPREAD = 1e-3
"""Numbers that vary less than so are taken for constant."""


@dataclass(frozen=True)
class Said:
    """Captions, as a reader sees them.

    Args:
        states: of each caption's tokens ``[tokens, dim]``, in any precision.
        read: figures that were read out, ``[captions, read]``.
        means: by caption, a number that captions share which say the same.
    """

    states: Sequence[Tensor]
    read: Tensor
    means: Tensor

    def batch(self, chosen: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """States ``[batch, tokens, dim]`` in float32, their mask, and the figures, of some captions."""
        states = torch.nn.utils.rnn.pad_sequence([self.states[one] for one in chosen], batch_first=True).float()
        lengths = torch.tensor([len(self.states[one]) for one in chosen])
        return states, torch.arange(states.shape[1]) < lengths[:, None], self.read[list(chosen)]


@dataclass(frozen=True)
class Songs:
    """Songs with captions.

    Args:
        heard: what was heard, ``[songs, numbers]``.
        said: all captions.
        own: the captions of each song, as places in `said`.
    """

    heard: Tensor
    said: Said
    own: Sequence[Sequence[int]]


def fit_towers(
    towers: TwoTowers,
    songs: Songs,
    epochs: int = 60,
    batch: int = 256,
    rate: float = 2e-3,
    decay: float = 0.5,
    noise: float = 0.2,
    seed: int = 0,
    told: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Fit both towers by a symmetric contrastive loss; in place.

    Each epoch has every song once, with one of its captions drawn anew. Captions that say the same as a song's own
    do not count against it.

    Args:
        towers: to fit; their scale of what is heard is taken from the songs.
        songs: two or more.
        epochs: over all songs.
        batch: songs that compete.
        rate: of learning, at its highest.
        decay: of weights.
        noise: added to what is heard, in standard deviations.
        seed: of all chance.
        told: the epoch and its mean loss.

    Returns:
        Mean loss by epoch.

    Raises:
        ValueError: if there are fewer than two songs, or the loss is not finite.
    """
    count = len(songs.own)
    if count < 2:
        raise ValueError(f"expected two songs or more to tell apart, got {count}")
    towers.centre.copy_(songs.heard.mean(0))
    towers.spread.copy_(songs.heard.std(0).clamp(min=SPREAD))
    chance = torch.Generator().manual_seed(seed)
    plain = [one for one in towers.parameters() if one.ndim < 2]
    heavy = [one for one in towers.parameters() if one.ndim > 1]
    groups = [{"params": heavy, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    steps = epochs * -(-count // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    losses = []
    towers.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(epochs):
            total = 0.0
            for chosen in torch.randperm(count, generator=chance).split(batch):
                loss = _loss(towers, songs, chosen, noise, chance)
                if not loss.isfinite():
                    raise ValueError(f"epoch {epoch}: the loss is {float(loss)}; expected a smaller rate than {rate}")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += float(loss.detach()) * len(chosen) / count
            losses.append(total)
            if told is not None:
                told(epoch, total)
    towers.eval()
    return losses


def _loss(towers: TwoTowers, songs: Songs, chosen: Tensor, noise: float, chance: torch.Generator) -> Tensor:
    """Of one batch: each song among the captions, each caption among the songs."""
    numbers = songs.heard[chosen]
    numbers = numbers + noise * towers.spread * torch.randn(numbers.shape, generator=chance)
    captions = [
        songs.own[song][int(torch.randint(len(songs.own[song]), (1,), generator=chance))] for song in chosen.tolist()
    ]
    table = towers.scale * towers.embed_heard(numbers) @ towers.embed_said(*songs.said.batch(captions)).T
    means = songs.said.means[captions]
    # a caption counts against no song of which it is true
    true = torch.stack([torch.isin(means, songs.said.means[list(songs.own[song])]) for song in chosen.tolist()])
    table = table.masked_fill(true & ~torch.eye(len(chosen), dtype=torch.bool), -torch.inf)
    right = torch.arange(len(chosen))
    return (F.cross_entropy(table, right) + F.cross_entropy(table.T, right)) / 2


@torch.inference_mode()
def similarities(towers: TwoTowers, songs: Songs) -> Tensor:
    """Cosines ``[songs, songs]`` of each song with each song's first caption."""
    said = [towers.embed_said(*songs.said.batch([own[0]])) for own in songs.own]
    return towers.embed_heard(songs.heard) @ torch.cat(said).T
