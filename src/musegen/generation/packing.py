"""Numbers as text, for JSON."""

from __future__ import annotations

import base64

import numpy as np
import torch
from torch import Tensor


def pack(numbers: Tensor) -> str:
    """A tensor's numbers as text: base64 of little-endian float16 if it is that, of float32 otherwise."""
    kind = "<f2" if numbers.dtype == torch.float16 else "<f4"
    return base64.b64encode(numbers.detach().cpu().numpy().astype(kind).tobytes()).decode()


def unpack(text: str, kind: str = "<f4", name: str = "embedding") -> Tensor:
    """The inverse of `pack`, flat.

    Args:
        text: base64.
        kind: of the numbers: ``<f4`` or ``<f2``.
        name: what it is, for the message.

    Raises:
        ValueError: if it is not that.
    """
    try:
        numbers = np.frombuffer(base64.b64decode(text), kind)
    except ValueError as error:
        raise ValueError(f"{name}: expected base64 of numbers: {error}") from None
    return torch.from_numpy(numbers.astype(kind.replace("<", "=")))
