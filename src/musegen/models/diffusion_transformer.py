"""The network of stage 2: the diffusion transformer of Stable Audio Open."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from musegen.models.base import Condition, FlowNetwork
from musegen.models.checks import check_condition
from musegen.nn.attention import Memory, QKNorm
from musegen.nn.feedforward import embedder
from musegen.nn.fourier import FourierFeatures
from musegen.nn.pointwise import PointwiseResidual
from musegen.nn.transformer import Transformer


class Prepared(NamedTuple):
    """What stays the same from step to step.

    Args:
        memory: what each layer's cross-attention reads.
        vector: the projected global condition, ``[batch, dim]``, with what is pooled of the tokens; None without both.
    """

    memory: tuple[Memory, ...]
    vector: Tensor | None


class DiffusionTransformer(FlowNetwork):
    """Stable Audio Open's transformer over frames of latents, 1,056,828,544 parameters as it is by default.

    Frames attend to each other with rotary positions and to the condition's tokens; the global vector and the time are
    one more token before the first frame, or modulate every block. State-dict names are stable-audio-tools' own, so
    published weights load strictly. Stable Audio Open Small is ``frames=256, dim=1024, depth=16, heads=8,
    vector_dim=768, project_condition=True, qk_norm=layer``.

    The published network counts time from data to noise and predicts ``noise - data`` (or its counterpart in the
    v-objective), while here time runs from noise to data and predictions point to data. So `predict` shows the network
    1 - t and negates what it says; weights are the same either way.

    Source: Evans et al., Stable Audio Open, 2024, https://arxiv.org/abs/2407.14358; Small: Novack et al., Fast
    Text-to-Audio Generation with Adversarial Post-Training, 2025, https://arxiv.org/abs/2505.08175.

    Args:
        channels: channels of the latents.
        frames: how many frames an item has in training; `predict` takes any number.
        dim: width of a token.
        depth: how many blocks.
        heads: heads of queries, a divisor of dim.
        condition_dim: width of the condition's tokens.
        vector_dim: width of the condition's global vector; 0 for a network without one.
        project_condition: project the condition's tokens to dim; else they keep their width.
        kv_heads: heads of keys and values in cross-attention, a divisor of heads; null for as many as have room in a
            condition token.
        qk_norm: "layer" normalises the queries and keys of each head, "none" does not.
        mask_condition: do not let frames read the condition's padding. The published networks read it, as zeros.
        time_features: sines and cosines that the time is shown as.
        modulated: let the global vector and the time scale, shift and gate what every block does (adaLN), instead of
            being one more token: it learned faster where Peebles and Xie compared them; see `musegen.nn.block.Block`.
        pool_condition: add the mean of the condition's tokens, projected, to the global vector; guidance removes it.
        gradient_checkpointing: compute the inside of each block again for the gradient instead of keeping it: less
            memory, a third more time.
    """

    def __init__(
        self,
        channels: int = 64,
        frames: int = 1024,
        dim: int = 1536,
        depth: int = 24,
        heads: int = 24,
        condition_dim: int = 768,
        vector_dim: int = 1536,
        project_condition: bool = False,
        kv_heads: int | None = None,
        qk_norm: QKNorm = "none",
        mask_condition: bool = False,
        time_features: int = 256,
        modulated: bool = False,
        pool_condition: bool = False,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"heads: expected a divisor of dim {dim}, got {heads}")
        self.shape = (channels, frames)
        self.condition_dim = condition_dim
        self.vector_dim = vector_dim
        self.mask_condition = mask_condition
        context_dim = dim if project_condition else condition_dim
        kv_heads = context_dim * heads // dim if kv_heads is None else kv_heads
        self.timestep_features = FourierFeatures(time_features)
        self.to_timestep_embed = embedder(time_features, dim)
        self.to_cond_embed = embedder(condition_dim, context_dim, bias=False)
        self.to_global_embed = embedder(vector_dim, dim, bias=False) if vector_dim else None
        self.to_pooled_embed = embedder(context_dim, dim, bias=False) if pool_condition else None
        self.preprocess_conv = PointwiseResidual(channels)
        self.transformer = Transformer(
            channels, dim, depth, heads, context_dim, kv_heads, qk_norm, gradient_checkpointing, modulated
        )
        self.postprocess_conv = PointwiseResidual(channels)
        self._add_parts(time_features, dim)

    def _add_parts(self, time_features: int, dim: int) -> None:
        """What a kind of this network has besides; nothing here."""

    def prepare(self, condition: Condition) -> Prepared:
        """Project the condition, and compute the keys and values of every cross-attention.

        Raises:
            ValueError: if the condition's widths are not those that the network was built for.
        """
        check_condition(self, condition)
        dtype = self.preprocess_conv.weight.dtype
        tokens, mask = condition.tokens.to(dtype), condition.mask
        if mask is not None:
            tokens = tokens * mask[:, :, None]
        tokens = self.to_cond_embed(tokens)
        memory = self.transformer.layers.memories(tokens, mask if self.mask_condition else None)
        vector = self._project_vector(condition)
        if self.to_pooled_embed is not None:
            real = tokens.shape[1] if mask is None else mask.sum(1, keepdim=True).clamp(min=1)  # the others are zeros
            pooled = self.to_pooled_embed(tokens.sum(1) / real)
            vector = pooled if vector is None else vector + pooled
        return Prepared(memory, vector)

    def _project_vector(self, condition: Condition) -> Tensor | None:
        if self.to_global_embed is None or condition.vector is None:
            return None
        return self.to_global_embed(condition.vector.to(self.preprocess_conv.weight.dtype))

    def prepare_with_null(self, condition: Condition) -> Prepared:
        """The null's zeros stay zeros through projections that have no bias: cross-attention to them adds nothing."""
        prepared = self.prepare(condition)
        if prepared.vector is None:
            return prepared
        null = self._project_vector(condition)
        null = torch.zeros_like(prepared.vector) if null is None else null
        return prepared._replace(vector=torch.cat((prepared.vector, null)))

    def predict(self, x: Tensor, time: Tensor, prepared: Prepared, mask: Tensor | None = None) -> Tensor:
        """Predict the direction towards data; see `FlowNetwork.predict`.

        Args:
            x: noisy latents, ``[batch, channels, frames]``, any number of frames.
            time: flow time of each item, ``[batch]``.
            prepared: what `prepare` returned.
            mask: True where a frame is real, ``[batch, frames]``. Real frames then do not depend on the others.

        Returns:
            The prediction, with the shape and dtype of ``x``; meaningless where a frame is not real.
        """
        frames = x.transpose(1, 2).to(self.preprocess_conv.weight.dtype)
        whole = self._time_token(time, frames.dtype)
        if prepared.vector is not None:
            whole = whole + prepared.vector
        frames = self.preprocess_conv(frames)
        frames = self.transformer(frames, whole, prepared.memory, mask)
        return -self.postprocess_conv(frames).transpose(1, 2).to(x.dtype)

    def _time_token(self, time: Tensor, dtype: torch.dtype) -> Tensor:
        """What the network is shown of the time, ``[batch, dim]``."""
        if time.ndim != 1:
            name = type(self).__name__
            raise ValueError(f"{name} is not told where a step ends: only a distilled model can be sampled by jump")
        return self.to_timestep_embed(self.timestep_features(1.0 - time.float()).to(dtype))

    def null(self, condition: Condition) -> Condition:
        """Zeros for tokens, as the published networks were trained; the global vector stays."""
        mask = None if condition.mask is None else torch.ones_like(condition.mask)
        return replace(condition, tokens=torch.zeros_like(condition.tokens), mask=mask)
