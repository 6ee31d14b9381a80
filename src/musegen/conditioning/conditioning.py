"""All that a model is told, put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from musegen.conditioning.base import Conditioner
from musegen.config import Configurable
from musegen.models.base import Condition


class Conditioning(Configurable, nn.Module):
    """Conditioners by name, and what becomes of their tokens.

    Args:
        conditioners: what the model is told, by name; a name is part of its weights' names in a checkpoint.
        cross_attention: whose tokens cross-attention reads, in this order.
        vector: whose first tokens, joined, are the global vector; none for a network without one.
    """

    def __init__(
        self,
        conditioners: dict[str, Conditioner],
        cross_attention: Sequence[str],
        vector: Sequence[str] = (),
    ) -> None:
        super().__init__()
        for role, names in (("cross_attention", cross_attention), ("vector", vector)):
            unknown = sorted(set(names) - set(conditioners))
            if unknown:
                raise ValueError(f"{role}: expected names among {sorted(conditioners)}, got {', '.join(unknown)}")
        idle = sorted(set(conditioners) - set(cross_attention) - set(vector))
        if idle or not cross_attention:
            what = f"{', '.join(idle)} in cross_attention or vector" if idle else "at least one name in cross_attention"
            raise ValueError(f"conditioning: expected {what}")
        self.conditioners = nn.ModuleDict(conditioners)
        self.cross_attention = list(cross_attention)
        self.vector = list(vector)

    @property
    def reads(self) -> list[str]:
        """The keys of a batch that are needed."""
        return sorted({conditioner.reads for conditioner in self._conditioners.values()})

    @property
    def keys(self) -> list[str]:
        """All keys of a batch that may be looked at, see `Conditioner.keys`."""
        return sorted({key for conditioner in self._conditioners.values() for key in conditioner.keys})

    @property
    def _conditioners(self) -> dict[str, Conditioner]:
        return dict(self.conditioners.items())  # type: ignore[arg-type]

    def forward(self, batch: Mapping[str, Any]) -> Condition:
        """Turn a batch into a condition.

        Raises:
            ValueError: if the batch lacks what a conditioner reads.
        """
        parts = {name: conditioner(batch) for name, conditioner in self._conditioners.items()}
        tokens = torch.cat([parts[name][0] for name in self.cross_attention], dim=1)
        vectors = [parts[name][0][:, 0] for name in self.vector]
        return Condition(tokens, self._mask(parts), torch.cat(vectors, dim=-1) if vectors else None)

    def tensors(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """What all conditioners read, see `Conditioner.tensors`."""
        return {name: part for each in self._conditioners.values() for name, part in each.tensors(batch).items()}

    def _mask(self, parts: Mapping[str, tuple[Tensor, Tensor | None]]) -> Tensor | None:
        chosen = [parts[name] for name in self.cross_attention]
        if all(mask is None for _, mask in chosen):
            return None
        masks = [tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if m is None else m for tokens, m in chosen]
        return torch.cat(masks, dim=1)
