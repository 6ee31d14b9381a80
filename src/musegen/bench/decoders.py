"""The ways of decoding that are compared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musegen.bench.networks import codec
from musegen.flow.execution.recording import Recording
from musegen.generation.decoding import LAYOUTS
from musegen.models.fast_decoder import FastDecoder
from musegen.models.oobleck import OobleckAutoencoder
from musegen.nn.chunks import windows

Decode = Callable[[Tensor], Tensor]


def make_decoder(vae: OobleckAutoencoder, way: str, dtype: torch.dtype, chunk: int) -> Decode:
    """One way of decoding ``[1, channels, frames]``, a chunk of frames at a time.

    Args:
        vae: folded; it stays as it is.
        way: words: ``plain``, ``fast``, ``snakes`` or ``kernels``, then perhaps ``compiled`` or ``graph``.
        dtype: to compute in.
        chunk: frames at a time.
    """
    layout, *rest = way.split()
    if layout not in LAYOUTS or not set(rest) <= {"compiled", "graph"}:
        raise ValueError(f"ways: expected one of {', '.join(LAYOUTS)}, perhaps with compiled or graph, got {way!r}")
    if layout != "plain":
        one_pass = layout in ("snakes", "kernels") and "compiled" not in rest
        decoder: Decode = FastDecoder(vae, dtype, layout == "kernels", one_pass)
    else:
        decoder = copy.deepcopy(vae).fold_weight_norm().to(dtype).decode
    if "compiled" in way:
        decoder = torch.compile(decoder, dynamic=False)  # type: ignore[assignment]
    record = ("compiled" in way or "graph" in way) and next(vae.parameters()).is_cuda
    recordings: dict[int, Recording] = {}

    def decode_one(latents: Tensor) -> Tensor:
        latents = latents.to(dtype)
        if not record:
            return decoder(latents)
        frames = latents.shape[-1]
        if frames not in recordings:
            recordings[frames] = Recording(lambda given: decoder(given), (latents,), None)
        else:
            recordings[frames].write(0, latents)
        return recordings[frames].replay()

    def decode(latents: Tensor) -> Tensor:
        step, audio = vae.downsampling, None
        for cut in windows(latents.shape[-1], chunk, vae.decoder_context):
            piece = decode_one(latents[..., cut.start : cut.stop])
            if audio is None:
                audio = piece.new_empty(*piece.shape[:-1], latents.shape[-1] * step, dtype=torch.float32)
            kept = slice((cut.first - cut.start) * step, (cut.last - cut.start) * step)
            audio[..., cut.first * step : cut.last * step] = piece[..., kept]
        assert audio is not None
        return audio

    return decode


def peer_decoder(vae: OobleckAutoencoder, dtype: torch.dtype, compiled: bool) -> Decode:
    """The decoder of diffusers with the same weights, the whole at once."""
    from musegen.bench.peers import diffusers_autoencoder

    peer: Any = diffusers_autoencoder(vae).to(dtype)
    if compiled:
        peer.decoder.compile()
    return lambda latents: peer.decode(latents.to(dtype), return_dict=False)[0].float()


def decoder_cost(size: str, frames: int) -> float:
    """Floating-point operations of decoding so many frames, counted without computing them."""
    with torch.device("meta"):
        vae = codec(size)
        latents = torch.empty(1, vae.latent_channels, frames)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        vae.decode(latents)
    return float(counter.get_total_flops())
