"""Whether a condition is one that a network can read."""

from __future__ import annotations

from musegen.models.base import Condition, FlowNetwork


def check_condition(network: FlowNetwork, condition: Condition) -> None:
    """Compare a condition with what a network was built for.

    Raises:
        ValueError: if the tokens or the global vector have another width, or one is there and should not be.
    """
    name = type(network).__name__
    if condition.tokens.ndim != 3 or condition.tokens.shape[-1] != network.condition_dim:
        shape = tuple(condition.tokens.shape)
        raise ValueError(f"{name}: expected condition tokens [batch, tokens, {network.condition_dim}], got {shape}")
    vector_dim = 0 if condition.vector is None else condition.vector.shape[-1]
    if vector_dim != network.vector_dim:
        raise ValueError(f"{name}: expected a global vector of {network.vector_dim} numbers, got {vector_dim}")
