"""What an embedding of music still says: how well linear maps read tempo, key, mode, instruments and genre off it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from musegen.data.rendering.genres import GENRES
from musegen.data.rendering.instruments import HAND, KIT, NAMES
from musegen.models.fact_heads import FactHeads

Facts = Sequence[Mapping[str, Any]]


class LinearProbe:
    """Linear maps from unit vectors to facts, fitted until they no longer improve.

    Args:
        vectors: ``[pieces, dim]``, unit vectors to fit on.
        facts: of those pieces.
        decay: weight of the maps' squared size.
        steps: iterations at most.

    Raises:
        ValueError: if there are fewer than two pieces, or as many facts as there are not vectors.
    """

    def __init__(self, vectors: Tensor, facts: Facts, decay: float = 1e-3, steps: int = 60) -> None:
        if len(vectors) < 2 or len(vectors) != len(facts):
            raise ValueError(f"expected two pieces or more with facts each, got {len(vectors)} and {len(facts)} facts")
        self.mean, self.std = vectors.mean(0), vectors.std(0).clamp(min=1e-6)
        families = sorted({genre.family for genre in GENRES.values()})
        self.heads = FactHeads(vectors.shape[1], sorted({*NAMES, KIT, HAND}), families).to(vectors.device)
        self.heads.scale = 1.0  # the vectors are standardised instead
        for parameter in self.heads.parameters():
            torch.nn.init.zeros_(parameter)
        targets, scaled = self.heads.targets(facts, vectors.device), self._scaled(vectors)
        optimizer = torch.optim.LBFGS(self.heads.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimizer.zero_grad()
            size = torch.stack([head.weight.square().sum() for head in self.heads.heads.children()]).sum()  # type: ignore
            loss = torch.stack([*self.heads.losses(self.heads(scaled), targets).values()]).sum() + decay * size
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[arg-type]

    def _scaled(self, vectors: Tensor) -> Tensor:
        return (vectors - self.mean) / self.std

    @torch.no_grad()
    def right(self, vectors: Tensor, facts: Facts) -> dict[str, float]:
        """Share that is read right, by fact (see `FactHeads.hits`); facts that no piece has are left out."""
        hits = self.heads.hits(self.heads(self._scaled(vectors)), self.heads.targets(facts, vectors.device))
        return {name: float(values.mean()) for name, values in hits.items() if len(values)}


def probe_both_sides(
    train: tuple[Tensor, Tensor | None, Facts], test: tuple[Tensor, Tensor | None, Facts]
) -> dict[str, dict[str, float]]:
    """Fit on training pieces and read held-out ones, by column of a table.

    Args:
        train: vectors of music and of captions ``[pieces, dim]`` (None where there are none), and the pieces' facts.
        test: likewise.

    Returns:
        ``music``: fitted and read on music; ``captions``: both on captions; ``music → captions``: fitted on music, read
        on captions, as a model that learned from music meets them; ``chance``: music with the facts of other pieces.
    """
    (heard, told, facts), (new_heard, new_told, new_facts) = train, test
    of_music = LinearProbe(heard, facts)
    table = {"music": of_music.right(new_heard, new_facts)}
    if told is not None and new_told is not None:
        table["captions"] = LinearProbe(told, facts).right(new_told, new_facts)
        table["music → captions"] = of_music.right(new_told, new_facts)
    moved = [new_facts[(number + 1) % len(new_facts)] for number in range(len(new_facts))]
    table["chance"] = of_music.right(new_heard, moved)
    return table
