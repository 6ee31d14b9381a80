"""Matrix products in 8-bit floating point."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)

LARGEST = torch.finfo(torch.float8_e4m3fn).max
TINY = 1e-12


class Float8Linear(nn.Module):
    """A linear layer for inference with weights and inputs of 8 bits, each row of either with a scale of its own.

    Weights are rounded once; inputs at every call, to the largest number of their row, so that an item's result does
    not depend on its neighbours. Products are summed in float32 and returned in the dtype of the input. Where a device
    has no such product, the rounded numbers are multiplied in float32.

    Source: Micikevicius et al., FP8 Formats for Deep Learning, 2022, https://arxiv.org/abs/2209.05433.

    Args:
        linear: the layer whose weights are taken.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = to_float8(linear.weight.detach().float())
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.t().contiguous())
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., in_features]`` to ``[..., out_features]``."""
        rows = x.reshape(-1, x.shape[-1])
        rounded, scale = to_float8(rows)
        if x.is_cuda:
            product = torch._scaled_mm(
                rounded, self.weight.t(), scale, self.scale, self.bias, out_dtype=x.dtype, use_fast_accum=False
            )
        else:
            product = (rounded.float() @ self.weight.float().t()) * scale * self.scale
            product = (product if self.bias is None else product + self.bias).to(x.dtype)
        return product.unflatten(0, x.shape[:-1])


def to_float8(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Round every row of a matrix; returns it with what to multiply each row by, ``[rows, 1]``, float32."""
    scale = rows.abs().amax(dim=1, keepdim=True).float().clamp(min=TINY) / LARGEST
    return (rows.float() / scale).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn), scale


def use_float8(module: Module, smallest: int = 256, within: type[nn.Module] | None = None) -> Module:
    """Replace the linear layers of a module's blocks, in place; returns the module.

    Args:
        module: in bfloat16 on a GPU.
        smallest: layers with fewer features on either side stay as they are.
        within: only layers inside of modules of this class; None for all.
    """
    if within is not None:
        for inner in [inner for inner in module.modules() if isinstance(inner, within)]:
            use_float8(inner, smallest)
        return module
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and min(child.in_features, child.out_features) >= smallest:
                setattr(parent, name, Float8Linear(child))
    return module


def supports_float8(device: torch.device) -> bool:
    """Whether a device multiplies 8-bit floats itself: NVIDIA's from compute capability 8.9 on."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)
