"""Latents to audio: as the codec is written, or by its copy for inference; a chunk at a time, as memory allows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from musegen.flow.execution.compiled import why_not
from musegen.flow.execution.recording import Recording
from musegen.kernels import available
from musegen.models.fast_decoder import FastDecoder
from musegen.models.oobleck import OobleckAutoencoder
from musegen.nn.chunks import windows

logger = logging.getLogger(__name__)

AUTO = "auto"
LAYOUTS = ("plain", "fast", "snakes", "kernels")
RUNS = ("graph", "compiled")

CHUNK_FRAMES = 128
"""Frames that are decoded at a time where nothing is gained by more: on a CPU they stay in its caches."""

LONGEST_CHUNK = 1024
BUDGET = 0.8e9
"""Bytes of activations that a chunk may take on a GPU: a 1.06B network in half precision and it then fit in 3.5 GB."""

LIVE = {"plain": 4, "fast": 8, "snakes": 4, "kernels": 4}
"""Activations at the audio's own rate and the decoder's full width that live at once: a plain operation after the other
computes those of ``fast`` in float32."""


@dataclass(frozen=True)
class DecoderChoice:
    """How latents are decoded.

    Args:
        layout: ``plain`` is the codec as it is written; ``fast`` its copy with folded weights, for a compiler;
            ``snakes`` that copy with each activation as one kernel; ``kernels`` with narrow residual units as one, too.
        run: ``graph`` records it on a CUDA GPU, ``compiled`` compiles and records; empty for one operation after the
            other.
        dtype: to compute in.
        chunk: frames at a time.
    """

    layout: str
    run: str
    dtype: str
    chunk: int

    def arithmetic(self) -> dict[str, Any]:
        """What the last bits of decoded audio depend on; a part of the fingerprint. A graph changes none."""
        way = f"{self.layout}{' compiled' if self.run == 'compiled' else ''}"
        return {"decoder": way, "dtype": self.dtype, "chunk": self.chunk}

    def __str__(self) -> str:
        return f"{self.layout} {self.run}".strip()


def choose_decoder(
    choice: str, vae: OobleckAutoencoder, device: torch.device, dtype: torch.dtype, chunk: int | None = None
) -> DecoderChoice:
    """Settle how latents are decoded on a device; what it cannot do falls back, with a line in the log.

    ``auto`` is ``snakes graph`` in float16 on a CUDA GPU where the networks compute in half precision, and ``plain`` in
    float32 everywhere else: a CPU gains nothing by another layout. The chunk follows from the device's kind and the
    codec's width, never from what else is in memory, so that bits do not depend on it.

    Args:
        choice: ``auto``, or a layout and perhaps how it is run: ``fast compiled``.
        vae: the codec.
        device: where it decodes.
        dtype: of the networks; unless that is float32, the fast layouts compute in float16, which is as fast as
            bfloat16 and eight times as exact.
        chunk: frames at a time; None to choose.

    Raises:
        ValueError: for an unknown choice, or a chunk below 1.
    """
    gpu = device.type == "cuda"
    if not isinstance(choice, str):
        raise ValueError(f"decoder: expected a name, got {choice!r}")
    if choice == AUTO:
        choice = "snakes graph" if gpu and dtype != torch.float32 else "plain"
    layout, _, run = choice.partition(" ")
    if layout not in LAYOUTS or run not in ("", *RUNS):
        raise ValueError(
            f"decoder: expected auto, or one of {', '.join(LAYOUTS)}, perhaps with {' or '.join(RUNS)}, got {choice!r}"
        )
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected 1 frame or more, got {chunk}")
    reasons = []
    if layout in ("snakes", "kernels") and (reason := available.why_not(device)):
        layout, reasons = "fast", [reason]
    unable = None if not run else why_not(device) if run == "compiled" else None if gpu else f"no graphs on {device}"
    if unable is not None:
        run, reasons = "", [*reasons, unable]
    if reasons:
        logger.warning("decoder: %s: %s instead of %s", "; ".join(reasons), f"{layout} {run}".strip(), choice)
    half = gpu and dtype != torch.float32 and layout != "plain"
    precise = torch.float16 if half else torch.float32
    name = str(precise).removeprefix("torch.")
    memory = torch.cuda.get_device_properties(device).total_memory if gpu else float("inf")
    return DecoderChoice(layout, run, name, chunk or chunk_for(vae, device, precise, layout, memory))


def chunk_for(
    vae: OobleckAutoencoder, device: torch.device, dtype: torch.dtype, layout: str, memory: float = float("inf")
) -> int:
    """Frames to decode at a time: 128 on a CPU; on a GPU the largest power of two whose activations `BUDGET` holds.

    Args:
        vae: the codec.
        device: where it decodes.
        dtype: what it computes in.
        layout: see `DecoderChoice`.
        memory: bytes of the whole device, an eighth of which is taken at most.
    """
    if device.type != "cuda":
        return CHUNK_FRAMES
    widest = vae.downsampling * int(vae.config["init_args"]["channels"]) * torch.finfo(dtype).bits // 8
    chunk = LONGEST_CHUNK
    while chunk > 32 and (chunk + 2 * vae.decoder_context) * widest * LIVE[layout] > min(BUDGET, memory / 8):
        chunk //= 2
    return chunk


class Decoder:
    """A codec's decoder on its device.

    Args:
        vae: the codec, folded and on its device. Where a copy of its decoder decodes, it is moved to the CPU, out of
            the way.
        choice: how to decode.
    """

    def __init__(self, vae: OobleckAutoencoder, choice: DecoderChoice) -> None:
        self.vae, self.choice = vae, choice
        self.device = next(vae.parameters()).device
        self.dtype: torch.dtype = getattr(torch, choice.dtype)
        self._run: Any = vae.decode
        if choice.layout != "plain":
            one_pass = choice.layout in ("snakes", "kernels") and choice.run != "compiled"
            self._run = FastDecoder(vae, self.dtype, choice.layout == "kernels", one_pass)
            vae.to("cpu")
        if choice.run == "compiled":
            self._run = torch.compile(self._run, dynamic=False)
        self._recorded = self.device.type == "cuda" and choice.run in RUNS
        self._recordings: dict[int, Recording] = {}

    def __call__(self, latents: Tensor) -> Tensor:
        """Decode ``[1, channels, frames]`` to ``[1, audio_channels, frames · downsampling]``, float32, on the device.

        Where half precision overflows, the item is decoded again in float32.
        """
        audio = self._decode(latents)
        if self.dtype == torch.float16 and not bool(audio.isfinite().all()):
            logger.warning("decoder: %s overflows: decoding in float32", self.choice.dtype)
            with self.codec() as vae:
                return vae.decode_chunked(latents, CHUNK_FRAMES)
        return audio

    @contextmanager
    def codec(self) -> Iterator[OobleckAutoencoder]:
        """The whole codec on the device, for as long as it is needed there."""
        rests = next(self.vae.parameters()).device
        try:
            yield self.vae.to(self.device)
        finally:
            self.vae.to(rests)

    def prepare(self, frames: int) -> None:
        """Record, where a recording is to be made for latents of so many frames, before anything else runs."""
        if self._recorded:
            self(torch.zeros(1, self.vae.latent_channels, frames, device=self.device))

    def _decode(self, latents: Tensor) -> Tensor:
        step, audio = self.vae.downsampling, None
        for cut in windows(latents.shape[-1], self.choice.chunk, self.vae.decoder_context):
            piece = self._piece(latents[..., cut.start : cut.stop])
            if audio is None:
                audio = piece.new_empty(*piece.shape[:-1], latents.shape[-1] * step, dtype=torch.float32)
            kept = slice((cut.first - cut.start) * step, (cut.last - cut.start) * step)
            audio[..., cut.first * step : cut.last * step] = piece[..., kept]
        assert audio is not None
        return audio

    def _piece(self, latents: Tensor) -> Tensor:
        latents = latents.to(self.dtype)
        if not self._recorded:
            return self._run(latents)
        frames = latents.shape[-1]
        if frames not in self._recordings:
            self._recordings.clear()  # one length at a time: a recording keeps all of its activations
            self._recordings[frames] = Recording(lambda given: self._run(given), (latents,), None)
        else:
            self._recordings[frames].write(0, latents)
        return self._recordings[frames].replay()
