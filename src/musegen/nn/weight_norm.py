"""Convolutions with weight normalisation, under the parameter names that published checkpoints use.

The weight is ``g · v / ‖v‖``, one norm for each slice of the first axis, kept as ``weight_g`` and ``weight_v``.
"Weight Normalization: A Simple Reparameterization to Accelerate Training of Deep Neural Networks", 2016,
https://arxiv.org/abs/1602.07868.

Unlike torch's own hook of those names, these can be copied after a backward pass (weight averaging copies), and folded
without changing what a checkpoint holds.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class WeightNormed(nn.Module):
    """A convolution whose ``weight`` was split into ``weight_g`` and ``weight_v``."""

    folded = False
    """True where ``weight_v`` is the weight itself; ``weight_g`` then is its norm, and a state dict remains exact."""

    weight_g: nn.Parameter
    weight_v: nn.Parameter

    def _split(self) -> None:
        weight = self._parameters.pop("weight")
        assert weight is not None
        norm = torch.linalg.vector_norm(weight.detach(), dim=tuple(range(1, weight.ndim)), keepdim=True)
        self.weight_g = nn.Parameter(norm)
        self.weight_v = nn.Parameter(weight.detach())

    def normalised_weight(self) -> Tensor:
        """The weight that the convolution applies."""
        if self.folded:
            return self.weight_v
        return torch._weight_norm(self.weight_v, self.weight_g, 0)

    @torch.no_grad()
    def set_norm(self, norm: float) -> None:
        """Give every slice of a fresh layer's weight this norm, and leave its direction."""
        dims = tuple(range(1, self.weight_v.ndim))
        self.weight_v.mul_(norm / torch.linalg.vector_norm(self.weight_v, dim=dims, keepdim=True))
        self.weight_g.fill_(norm)

    @torch.no_grad()
    def fold(self) -> None:
        """Compute the weight once and for all. The layer no longer trains; saving and loading work as before."""
        weight = self.normalised_weight().clone()
        dims = tuple(range(1, weight.ndim))
        self.weight_g.copy_(torch.linalg.vector_norm(weight, dim=dims, keepdim=True))
        self.weight_v.copy_(weight)
        self._frozen = [name for name, parameter in self.named_parameters() if parameter.requires_grad]
        self.requires_grad_(False)
        self.folded = True

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        if self.folded:
            for name in self._frozen:
                self.get_parameter(name).requires_grad_(True)
        self.folded = False


def channels_innermost(x: Tensor) -> bool:
    """Whether ``[batch, channels, samples]`` lies in memory as ``[batch, samples, channels]``.

    In half precision tensor cores read it so. torch's one-dimensional convolutions rearrange whatever they are given;
    those of pictures do not, and a sound is a picture of one line.
    """
    return x.shape[1] > 1 and x.shape[2] > 1 and not x.is_contiguous() and x.transpose(1, 2).is_contiguous()


def put_channels_innermost(x: Tensor) -> Tensor:
    """The same values, so that `channels_innermost` holds; layers then pass it on."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


class Conv1d(WeightNormed, nn.Conv1d):
    """`torch.nn.Conv1d` with a normalised weight."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, bias=bias)
        self._split()

    def forward(self, input: Tensor) -> Tensor:
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, samples']``, in the input's layout."""
        weight = self.normalised_weight()
        if not channels_innermost(input):
            return self._conv_forward(input, weight, self.bias)
        step, padding, spread = int(self.stride[0]), int(self.padding[0]), int(self.dilation[0])  # type: ignore[arg-type]
        out = F.conv2d(input.unsqueeze(2), weight.unsqueeze(2), self.bias, (1, step), (0, padding), (1, spread))
        return out.squeeze(2)


class ConvTranspose1d(WeightNormed, nn.ConvTranspose1d):
    """`torch.nn.ConvTranspose1d` with a normalised weight; its norms are those of the input channels."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, stride, padding)
        self._split()

    def forward(self, input: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, samples · stride]``, in the input's layout."""
        weight, step, padding = self.normalised_weight(), int(self.stride[0]), int(self.padding[0])
        if not channels_innermost(input):
            return F.conv_transpose1d(input, weight, self.bias, step, padding)
        out = F.conv_transpose2d(input.unsqueeze(2), weight.unsqueeze(2), self.bias, (1, step), (0, padding))
        return out.squeeze(2)


class Conv2d(WeightNormed, nn.Conv2d):
    """`torch.nn.Conv2d` with a normalised weight and "same" padding for odd kernels."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        dilation: tuple[int, int] = (1, 1),
    ) -> None:
        padding = ((kernel_size[0] - 1) * dilation[0] // 2, (kernel_size[1] - 1) * dilation[1] // 2)
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation)
        self._split()

    def forward(self, input: Tensor) -> Tensor:
        """``[batch, in_channels, height, width]`` to ``[batch, out_channels, height', width']``."""
        return self._conv_forward(input, self.normalised_weight(), self.bias)
