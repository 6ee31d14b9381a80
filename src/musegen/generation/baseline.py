"""The baseline that a pipeline may carry: what a regression answers where stage 1 samples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from musegen.checkpoints import load_model
from musegen.flow.regression import RegressionModel
from musegen.generation.folder import REGRESSION
from musegen.generation.plan import check_prompts
from musegen.generation.stage import ready


class Baseline:
    """Stage 1's regression: one embedding for a prompt, always the same.

    Making music does not need it, so that it is loaded only by who compares with it.

    Args:
        model: the regression; it is moved in place, and computes in float32.
        device: where it computes.
    """

    def __init__(self, model: RegressionModel, device: torch.device) -> None:
        self.model, self.device = ready(model, device), device

    @staticmethod
    def load(folder: Path, dim: int, device: torch.device, trust: Sequence[str] = ()) -> Baseline | None:
        """The part ``regression`` of a pipeline's folder; None where there is none.

        Args:
            folder: the pipeline's.
            dim: of stage 1's embeddings.
            device: where it computes.
            trust: packages besides musegen whose classes its config may name. Importing runs their code.

        Raises:
            ValueError: in one line, if the part is another model, or answers with other embeddings.
        """
        part = folder / REGRESSION
        if not part.is_dir():
            return None
        model = load_model(part, RegressionModel, trust)
        if tuple(model.network.shape) != (dim,):
            got = " × ".join(map(str, model.network.shape))  # noqa: RUF001
            raise ValueError(f"{part}: expected a regression to stage 1's embeddings of {dim} numbers, got {got}")
        return Baseline(model, device)

    @torch.inference_mode()
    def answer(self, prompts: str | Sequence[str]) -> Tensor:
        """The embedding of every prompt, ``[prompts, dim]``, float32, on the CPU."""
        texts = check_prompts(prompts)
        condition = self.model.condition({"caption": texts}, one_by_one=True)
        return self.model.sample(condition, [0] * len(texts)).float().cpu()  # no chance in it, so that any seed will do
