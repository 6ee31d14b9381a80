"""Logistic regression: linear maps from what is heard in a clip to the chance of each name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits


@dataclass(frozen=True)
class Logistic:
    """One linear map for each name, over standardised features.

    Its fit minimises the mean cross-entropy and half the decay times the weights' squares, the bias left free.

    Args:
        mean: of the features, ``[dim]``.
        std: likewise.
        weight: ``[names, dim]``.
        bias: ``[names]``.
    """

    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    def logits(self, features: np.ndarray) -> np.ndarray:
        """``[clips, dim]`` to ``[clips, names]``."""
        return (features - self.mean) / self.std @ self.weight.T + self.bias

    @classmethod
    def fit(cls, features: np.ndarray, labels: np.ndarray, decay: float = 0.1) -> Logistic:
        """Fit all names, each on its own.

        Args:
            features: ``[clips, dim]``.
            labels: ``[clips, names]`` of booleans.
            decay: weight of the maps' squared size.

        Raises:
            ValueError: if there are fewer than two clips, or not as many labels.
        """
        if len(features) < 2 or len(features) != len(labels):
            raise ValueError(f"expected labels for two clips or more, got {len(features)} clips, {len(labels)} labels")
        mean, std = features.mean(0), np.maximum(features.std(0), 1e-6)
        turned, sizes, axes = np.linalg.svd(
            (features - mean) / std, full_matrices=False
        )  # the best maps lie in its rows
        x, y = torch.from_numpy(turned * sizes), torch.from_numpy(labels).double()
        weight = torch.zeros(y.shape[1], x.shape[1], dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(y.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-15, line_search_fn="strong_wolfe"
        )

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = binary_cross_entropy_with_logits(x @ weight.T + bias, y, reduction="none").mean(0).sum()
            loss = loss + 0.5 * decay * weight.square().sum()
            loss.backward()
            return loss

        with torch.enable_grad():
            optimizer.step(closure)  # type: ignore[arg-type]
        return cls(mean, std, weight.detach().numpy() @ axes, bias.detach().numpy())


def area_under_curve(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of pairs of a clip with a name and one without in which the first scores higher; NaN without such pairs."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # of equal ones the mean
    have = int(labels.sum())
    lack = len(labels) - have
    if not have or not lack:
        return float("nan")
    return float((ranks[labels].sum() - have * (have + 1) / 2) / (have * lack))
