"""What a vector says of music, read off by one linear map: tempo, key, mode, instruments, genre."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TEMPO_BINS = 64
SLOWEST, FASTEST = 40.0, 240.0  # beats a minute
PITCHES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
KEY = re.compile(r"([A-G])(#|♯|b|♭)?\s+(major|minor)")
MODES = ("major", "minor")


class FactHeads(nn.Module):
    """One linear map for each fact, from unit vectors; the same for vectors of music and of captions.

    Tempo is a distribution over bins of equal ratio, softened towards the neighbours; a caption that names none makes
    it a broad one. Facts that a piece lacks count nowhere.

    Args:
        dim: of the vectors.
        instruments: names that are told apart.
        genres: likewise, one for each piece.
    """

    def __init__(self, dim: int, instruments: Sequence[str], genres: Sequence[str]) -> None:
        super().__init__()
        self.instruments, self.genres = list(instruments), list(genres)
        sizes = {"tempo": TEMPO_BINS, "key": 24, "mode": 2, "instruments": len(self.instruments), "genre": len(genres)}
        self.heads = nn.ModuleDict({name: nn.Linear(dim, size) for name, size in sizes.items() if size})
        self.scale = math.sqrt(dim)  # unit vectors have numbers of about 1 / sqrt(dim)

    def forward(self, vectors: Tensor) -> dict[str, Tensor]:
        """``[batch, dim]`` to logits by fact, float32."""
        scaled = vectors * self.scale
        return {name: head(scaled).float() for name, head in self.heads.items()}

    def targets(self, facts: Sequence[Mapping[str, Any]], device: torch.device) -> dict[str, Tensor]:
        """Facts of pieces as numbers.

        Returns:
            ``tempo`` ``[batch]`` in beats a minute, 0 where unknown; ``key``, ``mode``, ``genre`` ``[batch]``, −1 where
            unknown; ``instruments`` ``[batch, instruments]``, all zero where unknown.
        """
        instruments = torch.zeros(len(facts), len(self.instruments))
        for row, fact in zip(instruments, facts, strict=True):
            for name in fact.get("instruments") or ():
                if name in self.instruments:
                    row[self.instruments.index(name)] = 1.0
        lists = {
            "key": [key_number(fact.get("key")) for fact in facts],
            "mode": [MODES.index(fact["mode"]) if fact.get("mode") in MODES else -1 for fact in facts],
            "genre": [_index(self.genres, fact.get("family") or fact.get("genre")) for fact in facts],
        }
        targets = {name: torch.tensor(values, device=device) for name, values in lists.items()}
        tempi = torch.tensor([float(fact.get("tempo") or 0.0) for fact in facts], device=device)
        return {"tempo": tempi, "instruments": instruments.to(device), **targets}

    def losses(self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Cross-entropies by fact, in nats; of instruments the sum over names, zero where nothing is known."""
        losses = {}
        for name, scores in logits.items():
            wanted = targets[name]
            if name == "tempo":
                known = wanted > 0
                each = -(soft_tempo(wanted.clamp(min=SLOWEST)) * scores.log_softmax(1)).sum(1)
            elif name == "instruments":
                known = wanted.sum(1) > 0
                each = F.binary_cross_entropy_with_logits(scores, wanted, reduction="none").sum(1)
            else:
                known = wanted >= 0
                each = F.cross_entropy(scores, wanted.clamp(min=0), reduction="none")
            losses[name] = (each * known).sum() / known.sum().clamp(min=1)
        return losses

    def hits(self, logits: Mapping[str, Tensor], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What is right, ``[known items]`` by fact.

        Tempo within 4 %, the strongest key, mode and genre; of the k instruments that a piece has, the share that is
        among the k strongest.
        """
        hits = {}
        for name, scores in logits.items():
            wanted = targets[name]
            if name == "tempo":
                known = wanted > 0
                right = (tempo_of(scores) / wanted.clamp(min=1.0) - 1).abs() <= 0.04
            elif name == "instruments":
                known = wanted.sum(1) > 0
                count = wanted.sum(1).clamp(min=1)
                rank = scores.argsort(1, descending=True).argsort(1)
                right = ((rank < count[:, None]) * wanted).sum(1) / count
            else:
                known = wanted >= 0
                right = scores.argmax(1) == wanted
            hits[name] = right.float()[known]
        return hits


def tempo_bins() -> Tensor:
    """The middle of each bin, beats a minute, from slow to fast."""
    return SLOWEST * (FASTEST / SLOWEST) ** (torch.arange(TEMPO_BINS) / (TEMPO_BINS - 1))


def soft_tempo(tempi: Tensor) -> Tensor:
    """Tempi ``[batch]`` as distributions ``[batch, bins]``: a bell as wide as one bin."""
    distance = (tempi[:, None] / tempo_bins().to(tempi)).log() / math.log(FASTEST / SLOWEST) * (TEMPO_BINS - 1)
    return (-0.5 * distance.square()).softmax(1)


def tempo_of(scores: Tensor) -> Tensor:
    """The tempo that logits ``[batch, bins]`` mean, finer than the bins: a mean around the strongest one."""
    peak = scores.argmax(1, keepdim=True)
    near = (torch.arange(TEMPO_BINS, device=scores.device) - peak).abs() <= 2
    weights = scores.masked_fill(~near, -math.inf).softmax(1)
    return (weights * tempo_bins().to(scores).log()).sum(1).exp()


def key_number(name: object) -> int:
    """A key such as "F# minor" as 0–11 for C to B major, 12–23 for C to B minor; −1 for none."""
    found = KEY.fullmatch(str(name or "").strip())
    if found is None:
        return -1
    letter, sign, mode = found.groups()
    shift = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(sign or "", 0)
    return (PITCHES[letter] + shift) % 12 + 12 * (mode == "minor")


def _index(names: Sequence[str], name: object) -> int:
    return names.index(name) if isinstance(name, str) and name in names else -1
