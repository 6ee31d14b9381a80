"""The decoder of latents laid out for a GPU's convolutions: the same numbers, for inference only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musegen.models.oobleck import DecoderBlock, OobleckAutoencoder, ResidualUnit
from musegen.nn.precise import Precise
from musegen.nn.snake import TINY, SnakeBeta
from musegen.nn.weight_norm import Conv1d, ConvTranspose1d


class FastDecoder(nn.Module):
    """Decodes as `OobleckAutoencoder.decode` does, with channels last in memory and weights folded.

    Tensor cores want the channels of a sample side by side; laid out otherwise, every convolution transposes before and
    after. A transposed convolution is a convolution of two taps here, whose channels are the samples it makes.
    Activations are plain operations, so that a compiler can fuse them.

    Args:
        codec: what it is made of; it stays as it is.
        dtype: to compute in.
    """

    def __init__(self, codec: OobleckAutoencoder, dtype: torch.dtype = torch.float16) -> None:
        super().__init__()
        self.dtype = dtype
        self.layers = nn.Sequential(*(_translate(layer) for layer in codec.decoder.layers))
        self.to(dtype)
        for module in self.modules():
            if isinstance(module, Convolution | Upsampling):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        self.requires_grad_(False).eval()

    def forward(self, latents: Tensor) -> Tensor:
        """``[batch, latent_channels, frames]`` to audio ``[batch, audio_channels, samples]``, float32."""
        x = latents.to(self.dtype)[:, :, None, :].contiguous(memory_format=torch.channels_last)
        return self.layers(x)[:, :, 0, :].float()


class Snake(Precise):
    """`SnakeBeta` on ``[batch, channels, 1, samples]``; its two scales are computed once, in float32."""

    frequency: Tensor
    gain: Tensor

    def __init__(self, snake: SnakeBeta) -> None:
        super().__init__()
        frequency, magnitude = snake.alpha.detach().float().exp(), snake.beta.detach().float().exp()
        self.register_buffer("frequency", frequency[:, None, None])
        self.register_buffer("gain", (1 / (magnitude + TINY))[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """The same shape and dtype."""
        wide = x.float()
        return (wide + (wide * self.frequency).sin().square() * self.gain).to(x.dtype)


class Convolution(nn.Module):
    """`Conv1d` on ``[batch, channels, 1, samples]``."""

    def __init__(self, convolution: Conv1d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.normalised_weight().detach().clone()[:, :, None, :])
        self.bias = None if convolution.bias is None else nn.Parameter(convolution.bias.detach().clone())
        self.padding, self.dilation = (0, int(convolution.padding[0])), (1, int(convolution.dilation[0]))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, 1, samples]`` to ``[batch, out_channels, 1, samples]``."""
        return F.conv2d(x, self.weight, self.bias, padding=self.padding, dilation=self.dilation)


class Upsampling(nn.Module):
    """`ConvTranspose1d` with a kernel of two strides: each sample it makes reads two of its inputs.

    Output ``stride · i + r - padding`` is ``weight[r] · x[i] + weight[stride + r] · x[i - 1]``, for ``r`` below the
    stride: a convolution of two taps with ``stride · out_channels`` channels, whose channels, samples first, are the
    output in its own order where channels lie last in memory.
    """

    def __init__(self, transposed: ConvTranspose1d) -> None:
        super().__init__()
        weight = transposed.normalised_weight().detach()  # [in, out, 2 · stride]
        self.stride, self.padding = int(transposed.stride[0]), int(transposed.padding[0])
        first, second = weight[..., : self.stride], weight[..., self.stride :]
        taps = torch.stack((second, first), dim=-1)  # the earlier input first: [in, out, stride, 2]
        flat = taps.permute(2, 1, 0, 3).flatten(0, 1)  # [stride · out, in, 2]
        self.weight = nn.Parameter(flat[:, :, None, :].clone())
        self.bias = None if transposed.bias is None else nn.Parameter(transposed.bias.detach().repeat(self.stride))

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, 1, samples]`` to ``[batch, out_channels, 1, stride · samples]``."""
        taps = F.conv2d(x, self.weight, self.bias, padding=(0, 1))  # one more than the samples
        flat = taps.permute(0, 2, 3, 1)  # [batch, 1, samples + 1, stride · out]
        flat = flat.unflatten(-1, (self.stride, -1)).flatten(2, 3)
        made = flat[:, :, self.padding : self.padding + x.shape[-1] * self.stride]
        return made.permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Layers beside the identity."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return x + self.layers(x)


def _translate(layer: nn.Module) -> nn.Module:
    match layer:
        case SnakeBeta():
            return Snake(layer)
        case Conv1d():
            return Convolution(layer)
        case ConvTranspose1d():
            return Upsampling(layer)
        case ResidualUnit():
            return Residual(_translate(layer.layers))
        case DecoderBlock():
            return _translate(layer.layers)
        case nn.Sequential():
            return nn.Sequential(*(_translate(inner) for inner in layer))
    raise TypeError(f"expected a layer of Oobleck's decoder, got {type(layer).__name__}")
