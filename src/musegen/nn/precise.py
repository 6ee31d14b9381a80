"""Values that must not be rounded when the model around them is cast to half precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class Precise(nn.Module):
    """A module whose own parameters and buffers follow moves between devices, but not casts to fewer bits.

    Frequencies become phases after a multiplication by hundreds, and statistics scale everything: bfloat16's three
    digits would shift both. ``model.to(torch.bfloat16)`` therefore leaves them in float32.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        own = [*self._parameters.items(), *self._buffers.items()]
        kept = {name: tensor.data for name, tensor in own if tensor is not None and tensor.is_floating_point()}
        super()._apply(fn, recurse)
        for name, exact in kept.items():
            tensor = getattr(self, name)
            if tensor.dtype.itemsize < exact.dtype.itemsize:
                tensor.data = exact.to(tensor.device)
        return self
