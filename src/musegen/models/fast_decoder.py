"""The decoder of latents for a GPU: the same numbers, for inference only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musegen.models.oobleck import DecoderBlock, OobleckAutoencoder, ResidualUnit
from musegen.nn.precise import Precise
from musegen.nn.snake import TINY, SnakeBeta
from musegen.nn.weight_norm import Conv1d, ConvTranspose1d

WIDEST_KERNEL = 256
"""Channels of the widest residual unit that runs as one kernel: wider ones spend their time on products alone."""


class FastDecoder(nn.Module):
    """Decodes as `OobleckAutoencoder.decode` does, with weights folded and activations as plain operations.

    So written a compiler can fuse the activations. Most of the time goes into the last residual units, which have few
    channels and millions of samples: each of them can run as one kernel, which reads its input and writes its output
    once.

    Args:
        codec: what it is made of; it stays as it is.
        dtype: to compute in.
        kernels: run narrow residual units as one kernel each; see `musegen.kernels.available`.
        one_pass: run each of the other activations as one kernel, where no compiler will fuse it.
    """

    def __init__(
        self,
        codec: OobleckAutoencoder,
        dtype: torch.dtype = torch.float16,
        kernels: bool = False,
        one_pass: bool = False,
    ) -> None:
        super().__init__()
        self.dtype = dtype
        self.layers = nn.Sequential(*(_translate(layer, kernels) for layer in codec.decoder.layers))
        for module in self.modules():
            if isinstance(module, Snake):
                module.one_pass = one_pass
        self.to(dtype)
        self.requires_grad_(False).eval()

    def forward(self, latents: Tensor) -> Tensor:
        """``[batch, latent_channels, frames]`` to audio ``[batch, audio_channels, samples]``, float32."""
        return self.layers(latents.to(self.dtype)).float()


class Snake(Precise):
    """`SnakeBeta` on ``[batch, channels, samples]``; its two scales are computed once, in float32."""

    frequency: Tensor
    gain: Tensor
    scales: Tensor

    def __init__(self, snake: SnakeBeta) -> None:
        super().__init__()
        frequency, gain = _scales(snake)
        self.register_buffer("frequency", frequency[:, None])
        self.register_buffer("gain", gain[:, None])
        self.register_buffer("scales", torch.stack([frequency, 1 / gain, gain]))  # as the kernel reads them
        self.one_pass = False

    def forward(self, x: Tensor) -> Tensor:
        """The same shape and dtype."""
        if self.one_pass:
            from musegen.kernels.snake import snake

            return snake(x.contiguous(), self.scales)
        wide = x.float()
        return (wide + (wide * self.frequency).sin().square() * self.gain).to(x.dtype)


class Convolution(nn.Module):
    """`Conv1d` with its weight folded."""

    def __init__(self, convolution: Conv1d) -> None:
        super().__init__()
        self.weight, self.bias = _folded(convolution)
        self.padding, self.dilation = int(convolution.padding[0]), int(convolution.dilation[0])

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, samples]``."""
        return F.conv1d(x, self.weight, self.bias, padding=self.padding, dilation=self.dilation)


class Upsampling(nn.Module):
    """`ConvTranspose1d` with its weight folded."""

    def __init__(self, transposed: ConvTranspose1d) -> None:
        super().__init__()
        self.weight, self.bias = _folded(transposed)
        self.stride, self.padding = int(transposed.stride[0]), int(transposed.padding[0])

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, stride · samples]``."""
        return F.conv_transpose1d(x, self.weight, self.bias, self.stride, self.padding)


class Residual(nn.Module):
    """Layers beside the identity."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + self.layers(x)


class Scales(Precise):
    """Frequency and gain of both snakes of a residual unit, ``[4, channels]``, float32."""

    values: Tensor

    def __init__(self, unit: ResidualUnit) -> None:
        super().__init__()
        snakes = [layer for layer in unit.layers if isinstance(layer, SnakeBeta)]
        self.register_buffer("values", torch.stack([scale for snake in snakes for scale in _scales(snake)]))


class OneKernel(nn.Module):
    """`ResidualUnit` as one kernel."""

    def __init__(self, unit: ResidualUnit) -> None:
        super().__init__()
        _, dilated, _, pointwise = unit.layers
        assert isinstance(dilated, Conv1d)
        assert isinstance(pointwise, Conv1d)
        first, self.first_bias = _folded(dilated)
        second, self.second_bias = _folded(pointwise)
        self.first = nn.Parameter(first.detach().permute(2, 0, 1).contiguous())
        self.second = nn.Parameter(second.detach()[:, :, 0].contiguous())
        self.scales = Scales(unit)
        self.dilation = int(dilated.dilation[0])

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        from musegen.kernels.residual_unit import residual_unit

        assert self.first_bias is not None
        assert self.second_bias is not None
        x = x.contiguous()
        return residual_unit(
            x, self.first, self.first_bias, self.second, self.second_bias, self.scales.values, self.dilation
        )


def _scales(snake: SnakeBeta) -> tuple[Tensor, Tensor]:
    """Frequency and gain, ``[channels]`` each, float32."""
    return snake.alpha.detach().float().exp(), 1 / (snake.beta.detach().float().exp() + TINY)


def _folded(layer: Conv1d | ConvTranspose1d) -> tuple[nn.Parameter, nn.Parameter | None]:
    weight = nn.Parameter(layer.normalised_weight().detach().clone())
    return weight, None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())


def _translate(layer: nn.Module, kernels: bool) -> nn.Module:
    match layer:
        case SnakeBeta():
            return Snake(layer)
        case Conv1d():
            return Convolution(layer)
        case ConvTranspose1d():
            return Upsampling(layer)
        case ResidualUnit():
            width = next(layer.parameters()).numel()
            narrow = 16 <= width <= WIDEST_KERNEL and width & (width - 1) == 0
            return OneKernel(layer) if kernels and narrow else Residual(_translate(layer.layers, kernels))
        case DecoderBlock():
            return _translate(layer.layers, kernels)
        case nn.Sequential():
            return nn.Sequential(*(_translate(inner, kernels) for inner in layer))
    raise TypeError(f"expected a layer of Oobleck's decoder, got {type(layer).__name__}")
