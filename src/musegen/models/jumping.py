"""Networks that are told where a step ends, beside where it begins: for models of few steps."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.nn.feedforward import embedder, zeroed
from musegen.nn.fourier import FourierFeatures

SPREAD = 2.0
"""Of the frequencies that a step's length is shown as, in cycles per unit: few, so that lengths between are too."""

NEW = ("network.step_features.", "network.to_step_embed.")
"""What the names of those tensors begin with in a flow model that its teacher does not have."""


class _Jumping:
    """What is added to a network: the length of a step as one more embedding, beside that of the time."""

    def _add_parts(self, time_features: int, dim: int) -> None:
        self.step_features = FourierFeatures(time_features, SPREAD)
        self.to_step_embed = embedder(time_features, dim)
        zeroed(self.to_step_embed[2])

    def _time_token(self, time: Tensor, dtype: torch.dtype) -> Tensor:
        network: Any = super()
        if time.ndim == 1:
            return network._time_token(time, dtype)
        length = self.step_features(time[:, 1] - time[:, 0])
        return network._time_token(time[:, 0], dtype) + self.to_step_embed(length.to(dtype))


class JumpingDiffusionTransformer(_Jumping, DiffusionTransformer):
    """The network of stage 2 that also takes times ``[batch, 2]``, where a step begins and ends.

    The length of the step is one more embedding, added to that of the time. It begins at zero, so that with a teacher's
    weights the network is the teacher, whatever the step. Given times ``[batch]``, it is shown no length.

    See `DiffusionTransformer` for the arguments.
    """


class JumpingEmbeddingTransformer(_Jumping, EmbeddingTransformer):
    """The network of stage 1 that also takes times ``[batch, 2]``; see `JumpingDiffusionTransformer`.

    See `EmbeddingTransformer` for the arguments.
    """
