"""From a sample's audio and captions to what training reads: embeddings, latents, text states."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from musegen.audio import resample, to_channels
from musegen.conditioning.base import Embedder, TextEncoder
from musegen.conditioning.pretrained_text import PretrainedText
from musegen.data.latent_batches import LatentBatches, Latents
from musegen.data.open_shard import UNKNOWN
from musegen.data.sample import Sample
from musegen.models.oobleck import OobleckAutoencoder

PREPROCESSING = "2: mean of both sides; whole windows, the last filled up from the beginning of the piece"
"""What embeddings depend on beside their embedder; part of ``made_by``, so that others are not mixed with these."""

DECODERS = 4
"""Threads that decode audio ahead."""

TOGETHER = 16
"""Samples whose captions a GPU encodes in one go, counted from the first that is encoded."""

Audio = tuple[Tensor, int]
"""``[channels, samples]``, and the rate in Hz."""

T = TypeVar("T")


class Encoder(nn.Module):
    """Encodes samples, in float32.

    Args:
        embedder: of music; None computes no embeddings.
        codec: of latents; None computes none.
        codec_name: what names the codec's weights in the index: a hash of them.
        text: encoder of captions, whose states stage 1 can learn from; None computes none.
        codec_licences: of the codec's weights.
        batch: how many windows of latents are computed together.
        chunk_frames: frames that a window contributes.

    Raises:
        ValueError: if there is nothing to compute, or ``batch`` or ``chunk_frames`` is not positive.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        codec: OobleckAutoencoder | None,
        codec_name: str | None = None,
        text: TextEncoder | None = None,
        codec_licences: Sequence[str] = (),
        batch: int = 8,
        chunk_frames: int = 128,
    ) -> None:
        super().__init__()
        if embedder is None and codec is None and text is None:
            raise ValueError("expected an embedder, a codec or a text encoder, got none: there is nothing to encode")
        for name, value in (("batch", batch), ("chunk_frames", chunk_frames)):
            if value < 1:
                raise ValueError(f"{name}: expected 1 or more, got {value}")
        self.embedder, self.codec, self.text = embedder, codec, text
        self.codec_name, self.codec_licences = codec_name, tuple(codec_licences)
        self.batch, self.chunk_frames = batch, chunk_frames
        self._place: Tensor
        self.register_buffer("_place", torch.empty(0), persistent=False)

    @property
    def hears(self) -> bool:
        """Whether it needs audio."""
        return self.embedder is not None or self.codec is not None

    @property
    def makes(self) -> frozenset[str]:
        """Names of the fields that it computes."""
        parts = {"embedding": self.embedder, "latents": self.codec, "text": self.text}
        return frozenset(name for name, part in parts.items() if part is not None)

    @property
    def made_by(self) -> dict[str, Any]:
        """What the index says of how the shards were made."""
        made_by: dict[str, Any] = {}
        if self.embedder is not None:
            made_by["embedding"] = {**self.embedder.config, "revision": self.embedder.revision}
            made_by["preprocessing"] = PREPROCESSING
        if self.codec is not None:
            windows = {"batch": self.batch, "chunk_frames": self.chunk_frames}
            made_by["latents"] = {**self.codec.config, "weights": self.codec_name, "windows": windows}
        if self.text is not None:
            made_by["text"] = {**self.text.config, "revision": self.text.revision}
        return made_by

    def forward(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Encode samples, which come out in the order in which they go in.

        Latents of several samples are computed together; which ones follows from the samples alone.

        Raises:
            ValueError: if a sample has no audio, or none that can be decoded.
        """
        batches = None if self.codec is None else LatentBatches(self.codec, self.batch, self.chunk_frames)
        waiting: deque[tuple[Sample, Latents | None]] = deque()
        for some in _several(self._decoded(samples), TOGETHER):
            with _exact():
                texts = self._texts([sample for sample, _ in some])
            for (sample, audio), text in zip(some, texts, strict=True):
                with _exact():
                    waiting.append(self._begin(sample, audio, text, batches))
                while waiting and (waiting[0][1] is None or waiting[0][1].done):
                    yield _with_latents(*waiting.popleft())
        if batches is not None:
            with _exact():
                batches.flush()
        yield from (_with_latents(*one) for one in waiting)

    def _decoded(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Audio | None]]:
        """Samples with their audio, where that is needed; threads decode a few ahead."""
        if not self.hears:
            yield from ((sample, None) for sample in samples)
            return
        with ThreadPoolExecutor(DECODERS) as pool:
            ahead: deque[tuple[Sample, Future[Audio]]] = deque()
            for sample in samples:
                ahead.append((sample, pool.submit(decode_audio, sample)))
                if len(ahead) > 2 * DECODERS:
                    first, audio = ahead.popleft()
                    yield first, audio.result()
            yield from ((sample, audio.result()) for sample, audio in ahead)

    def _texts(self, samples: Sequence[Sample]) -> list[list[np.ndarray] | None]:
        """States of each sample's captions; on a GPU, which a single short caption leaves idle, in one go."""
        if self.text is None:
            return [None] * len(samples)
        captions = [caption for sample in samples for caption in sample.captions]
        if isinstance(self.text, PretrainedText) and self._place.device.type == "cuda" and captions:
            states, masks = self.text.encode_together(captions)
        else:
            states, masks = self.text.encode(captions)
        rows = iter([one[real].half().cpu().numpy() for one, real in zip(states, masks, strict=True)])
        return [list(islice(rows, len(sample.captions))) or None for sample in samples]

    def _begin(
        self, sample: Sample, decoded: Audio | None, text: list[np.ndarray] | None, batches: LatentBatches | None
    ) -> tuple[Sample, Latents | None]:
        """Compute all of a sample but its latents, which come when a batch is full."""
        facts = {**sample.facts, "licence": self._licence(sample)}
        latents = None
        changed: dict[str, Any] = {}
        if decoded is not None:
            audio, rate = decoded
            facts["seconds"] = audio.shape[1] / rate
            audio = audio.to(self._place.device)
            if self.embedder is not None:
                mono = resample(audio.mean(0), rate, self.embedder.sample_rate)
                cut, facts["windows"] = cut_windows(mono, self.embedder)
                changed["embedding"] = self.embedder.embed_audio(cut).float().cpu().numpy()
            if self.codec is not None and batches is not None:
                stereo = resample(to_channels(audio, self.codec.audio_channels), rate, self.codec.sample_rate)
                latents = batches.add(stereo)
                facts["latent_rate"] = self.codec.sample_rate / self.codec.downsampling
        if text is not None:
            changed["text"] = text
        return replace(sample, facts=facts, audio=None, **changed), latents

    def _licence(self, sample: Sample) -> str:
        """What music and weights together are under, such as ``CC-BY-4.0 AND CC-BY-NC-4.0``."""
        weights = [part.licence for part in (self.embedder, self.text) if part is not None]
        every = [str(sample.facts.get("licence") or UNKNOWN), *weights, *self.codec_licences]
        return " AND ".join(sorted({name for names in every for name in names.split(" AND ")}))


def _several(items: Iterator[T], count: int) -> Iterator[list[T]]:
    """Lists of so many items, and the rest."""
    while some := list(islice(items, count)):
        yield some


def decode_audio(sample: Sample) -> tuple[Tensor, int]:
    """A sample's audio ``[channels, samples]``, float32, and its rate in Hz.

    Raises:
        ValueError: if there is none, or it cannot be decoded.
    """
    if sample.audio is None:
        raise ValueError(f"sample {sample.key!r}: expected audio, got none")
    try:
        samples, rate = soundfile.read(io.BytesIO(sample.audio), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"sample {sample.key!r}: expected audio: {error.error_string}") from None
    if not len(samples):
        raise ValueError(f"sample {sample.key!r}: expected audio: it is empty")
    return torch.from_numpy(samples.T.copy()), rate


def cut_windows(mono: Tensor, embedder: Embedder) -> tuple[Tensor, list[list[float]]]:
    """Consecutive windows ``[windows, samples]`` of audio ``[samples]``, and their times in seconds.

    As with MuQ-MuLan, the last one is filled up from the beginning of the piece; a piece shorter than a window is
    repeated.
    """
    size, length = int(embedder.window_seconds * embedder.sample_rate), mono.shape[0]
    count = -(-length // size)
    windows = mono.repeat(-(-count * size // length))[: count * size].unflatten(0, (count, size))
    ends = [min((number + 1) * size, length) for number in range(count)]
    rate = embedder.sample_rate
    return windows, [[number * size / rate, end / rate] for number, end in enumerate(ends)]


def _with_latents(sample: Sample, latents: Latents | None) -> Sample:
    return sample if latents is None else replace(sample, latents=latents.frames.numpy())


@contextmanager
def _exact() -> Iterator[None]:
    """No gradients; on a GPU no rounding to 19 bits, and no choice of algorithms by stopwatch."""
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic
    matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = False, False, False, True
    try:
        with torch.inference_mode():
            yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark, cudnn.deterministic = before
