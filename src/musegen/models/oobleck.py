"""Oobleck, the autoencoder of Stable Audio Open: 44.1 kHz stereo to 64 channels at 21.5 frames a second, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from musegen.config import Configurable
from musegen.models.posterior import Posterior
from musegen.nn.chunks import needed_inputs, windows
from musegen.nn.snake import SnakeBeta
from musegen.nn.weight_norm import Conv1d, ConvTranspose1d, WeightNormed, put_channels_innermost

Progress = Callable[[int, int], None]
"""Told how many windows are done, and of how many."""


class OobleckAutoencoder(Configurable, nn.Module):
    """Encoder, variational bottleneck and decoder; at full size 156M parameters.

    "Stable Audio Open", 2024, https://arxiv.org/abs/2407.14358; the residual units are of "High-Fidelity Audio
    Compression with Improved RVQGAN", 2023, https://arxiv.org/abs/2306.06546. Parameters are named as in
    stable-audio-tools, whose weights load as they are. Latents are not scaled; decoded audio is not clipped.

    Args:
        channels: width at the audio's own rate; 128 is Stable Audio Open's, 32 makes 10M parameters.
        multiples: width after each step down, in multiples of ``channels``.
        strides: the steps down, each an even number.
        latent_channels: channels of the latents.
        audio_channels: 2 for stereo.
        sample_rate: of the audio, Hz.
        gradient_checkpointing: recompute a block's activations in the backward pass, for memory.
    """

    def __init__(
        self,
        channels: int = 128,
        multiples: Sequence[int] = (1, 2, 4, 8, 16),
        strides: Sequence[int] = (2, 4, 4, 8, 8),
        latent_channels: int = 64,
        audio_channels: int = 2,
        sample_rate: int = 44100,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if len(multiples) != len(strides):
            raise ValueError(f"expected as many multiples as strides, got {len(multiples)} and {len(strides)}")
        if any(stride < 2 or stride % 2 for stride in strides):
            raise ValueError(f"expected even strides, got {list(strides)}")
        self.latent_channels = latent_channels
        self.audio_channels = audio_channels
        self.sample_rate = sample_rate
        self.downsampling = math.prod(strides)
        widths = [channels, *(channels * multiple for multiple in multiples)]
        steps = list(zip(widths, widths[1:], strides, strict=False))
        self.encoder = _Chain(
            Conv1d(audio_channels, widths[0], 7, padding=3),
            *(EncoderBlock(narrow, wide, stride) for narrow, wide, stride in steps),
            SnakeBeta(widths[-1]),
            Conv1d(widths[-1], 2 * latent_channels, 3, padding=1),
            recompute=gradient_checkpointing,
        )
        self.decoder = _Chain(
            Conv1d(latent_channels, widths[-1], 7, padding=3),
            *(DecoderBlock(wide, narrow, stride) for narrow, wide, stride in reversed(steps)),
            SnakeBeta(widths[0]),
            Conv1d(widths[0], audio_channels, 7, padding=3, bias=False),
            recompute=gradient_checkpointing,
        )

        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Begin with signals of deviation 1 throughout, for audio of deviation 0.2 (to 0.1 in the decoder's).

        Weight-normed layers grow by no more than the learning rate a step. Under torch's own initialisation each layer
        weakens what varies, until the biases outweigh it, and the decoder learns for long without looking at latents.
        """
        for layer in self.modules():
            if isinstance(layer, Conv1d | ConvTranspose1d):
                transposed = isinstance(layer, ConvTranspose1d)
                layer.set_norm((layer.out_channels * layer.stride[0] / layer.in_channels) ** 0.5 if transposed else 1.0)
                if layer.bias is not None:
                    layer.bias.zero_()
        for unit in self.modules():
            if isinstance(unit, ResidualUnit):
                *_, pointwise = (layer for layer in unit.layers if isinstance(layer, Conv1d))
                pointwise.set_norm(0.35)  # three of them in a row
        first, *_, last = (layer for layer in self.encoder.modules() if isinstance(layer, Conv1d))
        *_, out = (layer for layer in self.decoder.modules() if isinstance(layer, Conv1d))
        first.set_norm(5.0)
        out.set_norm(0.1)

        # A deviation near 1 beside a fresh encoder's means would drown them, and the decoder learn to ignore them.
        assert last.bias is not None
        last.weight_g[self.latent_channels :] *= 0.1
        last.weight_v[self.latent_channels :] *= 0.1
        last.bias[self.latent_channels :] = -2.0

    @property
    def encoder_context(self) -> int:
        """Frames of audio on either side of a frame that its latents depend on."""
        first, last = needed_inputs(_convolutions(self.encoder), 0, 0)
        return math.ceil(max(-first, last + 1 - self.downsampling) / self.downsampling)

    @property
    def decoder_context(self) -> int:
        """Latents on either side of a frame that its audio depends on."""
        first, last = needed_inputs(_convolutions(self.decoder), 0, self.downsampling - 1)
        return max(-first, last)

    def frames(self, samples: int) -> int:
        """How many frames of latents an audio of so many samples has; its last frame may be part silence."""
        return -(-samples // self.downsampling)

    def encode(self, audio: Tensor) -> Posterior:
        """Encode the whole at once.

        Args:
            audio: ``[batch, audio_channels, samples]`` in [-1, 1]; silence is added up to a whole frame.

        Returns:
            The posterior of the latents ``[batch, latent_channels, frames]``, float32.

        Raises:
            ValueError: if the audio has another shape.
        """
        parameters = self.encoder(self._whole_frames(audio))
        return Posterior.from_parameters(parameters.to(torch.promote_types(parameters.dtype, torch.float32)))

    def decode(self, latents: Tensor) -> Tensor:
        """Decode the whole at once.

        Args:
            latents: ``[batch, latent_channels, frames]``.

        Returns:
            Audio ``[batch, audio_channels, frames · downsampling]``, about [-1, 1] but not clipped, float32.

        Raises:
            ValueError: if the latents have another shape.
        """
        audio = self.decoder(self._checked_latents(latents))
        return audio.to(torch.promote_types(audio.dtype, torch.float32))

    @torch.no_grad()
    def encode_chunked(self, audio: Tensor, chunk_frames: int = 128, progress: Progress | None = None) -> Posterior:
        """Encode in windows of one size: equal to `encode`, but the memory of activations does not grow with length.

        Args:
            audio: ``[batch, audio_channels, samples]``.
            chunk_frames: frames that a window contributes; it is larger by `encoder_context` on both sides.
            progress: told after each window.

        Returns:
            As of `encode`, without gradients.
        """
        audio = self._whole_frames(audio)
        step = self.downsampling
        cuts = list(windows(audio.shape[-1] // step, chunk_frames, self.encoder_context))
        mean, std = [], []
        for done, cut in enumerate(cuts, 1):
            posterior = self.encode(audio[..., cut.start * step : cut.stop * step])
            kept = slice(cut.first - cut.start, cut.last - cut.start)
            mean.append(posterior.mean[..., kept].clone())
            std.append(posterior.std[..., kept].clone())
            if progress is not None:
                progress(done, len(cuts))
        return Posterior(torch.cat(mean, -1), torch.cat(std, -1))

    @torch.no_grad()
    def decode_chunked(self, latents: Tensor, chunk_frames: int = 128, progress: Progress | None = None) -> Tensor:
        """Decode in windows of one size: equal to `decode`, but the memory of activations does not grow with length.

        Args:
            latents: ``[batch, latent_channels, frames]``.
            chunk_frames: frames that a window contributes; it is larger by `decoder_context` on both sides.
            progress: told after each window.

        Returns:
            As of `decode`, without gradients.
        """
        self._checked_latents(latents)
        step = self.downsampling
        cuts = list(windows(latents.shape[-1], chunk_frames, self.decoder_context))
        audio: Tensor | None = None
        for done, cut in enumerate(cuts, 1):
            piece = self.decode(latents[..., cut.start : cut.stop])
            if audio is None:
                audio = piece.new_empty(*piece.shape[:-1], latents.shape[-1] * step)
            kept = slice((cut.first - cut.start) * step, (cut.last - cut.start) * step)
            audio[..., cut.first * step : cut.last * step] = piece[..., kept]
            if progress is not None:
                progress(done, len(cuts))
        assert audio is not None
        return audio

    def fold_weight_norm(self) -> OobleckAutoencoder:
        """Normalise every weight once and for all, for inference: the same network, a little quicker; returns itself.

        The parameters stop training. They keep their names, and a state dict saved from here describes the same
        network (``weight_v`` is now the weight, ``weight_g`` its norm), so that a folded autoencoder is exported like
        any other; loading a state dict unfolds.
        """
        for module in self.modules():
            if isinstance(module, WeightNormed):
                module.fold()
        return self

    def use_channels_last(self, chosen: bool = True) -> OobleckAutoencoder:
        """Keep activations with their channels innermost, as tensor cores read them; returns itself.

        The results are the same to rounding.
        """
        self.encoder.channels_last = self.decoder.channels_last = chosen
        return self

    def _whole_frames(self, audio: Tensor) -> Tensor:
        if audio.ndim != 3 or audio.shape[1] != self.audio_channels or audio.shape[2] == 0:
            raise ValueError(f"expected audio [batch, {self.audio_channels}, samples], got {list(audio.shape)}")
        missing = -audio.shape[-1] % self.downsampling
        return F.pad(audio, (0, missing)) if missing else audio

    def _checked_latents(self, latents: Tensor) -> Tensor:
        if latents.ndim != 3 or latents.shape[1] != self.latent_channels or latents.shape[2] == 0:
            raise ValueError(f"expected latents [batch, {self.latent_channels}, frames], got {list(latents.shape)}")
        return latents


class ResidualUnit(nn.Module):
    """A dilated and a pointwise convolution, each after its activation, beside the identity."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SnakeBeta(channels),
            Conv1d(channels, channels, 7, dilation=dilation, padding=3 * dilation),
            SnakeBeta(channels),
            Conv1d(channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, channels, samples]`` to the same."""
        return x + self.layers(x)


class EncoderBlock(nn.Module):
    """Three residual units, then a strided convolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(ResidualUnit(in_channels, dilation) for dilation in (1, 3, 9)),
            SnakeBeta(in_channels),
            Conv1d(in_channels, out_channels, 2 * stride, stride=stride, padding=stride // 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, samples / stride]``."""
        return self.layers(x)


class DecoderBlock(nn.Module):
    """A transposed convolution, then three residual units."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            SnakeBeta(in_channels),
            ConvTranspose1d(in_channels, out_channels, 2 * stride, stride=stride, padding=stride // 2),
            *(ResidualUnit(out_channels, dilation) for dilation in (1, 3, 9)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, samples]`` to ``[batch, out_channels, samples · stride]``."""
        return self.layers(x)


class _Chain(nn.Module):
    """Layers in a row, under the name ``layers``; its blocks can be recomputed in the backward pass."""

    channels_last = False

    def __init__(self, *layers: nn.Module, recompute: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.recompute = recompute

    def forward(self, x: Tensor) -> Tensor:
        if self.channels_last:
            x = put_channels_innermost(x)
        if not (self.recompute and torch.is_grad_enabled()):
            return self.layers(x)
        for layer in self.layers:
            block = isinstance(layer, EncoderBlock | DecoderBlock)
            x = checkpoint(layer, x, use_reentrant=False) if block else layer(x)  # type: ignore[assignment]
        return x


def _convolutions(chain: nn.Module) -> Iterable[nn.Module]:
    return (module for module in chain.modules() if isinstance(module, WeightNormed))
