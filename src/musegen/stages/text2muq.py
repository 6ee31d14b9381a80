"""Stage 1: text to a MuQ-MuLan embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from musegen.stages.flow_stage import FlowStage


class Text2MuQFlow(FlowStage):
    """Stage 1: a caption to a unit vector of the music embedding space, by cross-attention flow matching.

    See `FlowStage` for the arguments.
    """

    data_key = "embedding"

    def generate(
        self, captions: Sequence[str], seeds: Sequence[int] | None = None, x0: Tensor | None = None, **options: Any
    ) -> Tensor:
        """Sample one embedding for each caption.

        Args:
            captions: one for each item.
            seeds: one for each item.
            x0: the starting noise itself, ``[items, dim]``, in place of seeds.
            options: of `FlowModel.sample` (``sampler``, ``steps``, ``guidance`` …).

        Returns:
            Unit vectors ``[items, dim]``.
        """
        return self.sample({"caption": list(captions)}, seeds, x0=x0, **options)

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Sample an embedding for each caption: ``{key, caption, seed, embedding [batch, dim]}``."""
        embedding = self.generate(batch["caption"], batch["seed"].tolist())
        return {**{name: batch[name] for name in ("key", "caption", "seed")}, "embedding": embedding}
