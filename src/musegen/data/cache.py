"""From audio to what training reads: embeddings and latents, computed once."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from musegen.audio import resample, to_channels
from musegen.conditioning.base import Embedder
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.models.oobleck import OobleckAutoencoder


@dataclass(frozen=True)
class Encoder:
    """Encodes samples.

    Args:
        embedder: of music; None leaves embeddings out.
        codec: of latents; None leaves them out.
        codec_name: what names the codec's weights in the index: a hash of them.
        device: where both compute.
    """

    embedder: Embedder | None
    codec: OobleckAutoencoder | None
    codec_name: str | None
    device: torch.device

    @property
    def made_by(self) -> dict[str, Any]:
        """What the index says of how the shards were made."""
        made_by: dict[str, Any] = {}
        if self.embedder is not None:
            made_by["embedding"] = {**self.embedder.config, "revision": self.embedder.revision}
        if self.codec is not None:
            made_by["latents"] = {**self.codec.config, "weights": self.codec_name}
        return made_by

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Sample:
        """Encode one sample's audio.

        Raises:
            ValueError: if it has none, or it is no audio.
        """
        if sample.audio is None:
            raise ValueError(f"sample {sample.key!r}: expected audio, got none")
        try:
            samples, rate = soundfile.read(io.BytesIO(sample.audio), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"sample {sample.key!r}: expected audio: {error.error_string}") from None
        audio = torch.from_numpy(samples.T.copy()).to(self.device)
        facts = {**sample.facts, "seconds": audio.shape[1] / rate}
        embedding = latents = None
        if self.embedder is not None:
            mono = resample(audio.mean(0), rate, self.embedder.sample_rate)
            windows, times = cut_windows(mono, self.embedder)
            embedding = self.embedder.embed_audio(windows).float().cpu().numpy()
            facts["windows"] = times
        if self.codec is not None:
            stereo = resample(to_channels(audio, self.codec.audio_channels), rate, self.codec.sample_rate)
            latents = self.codec.encode_chunked(stereo.unsqueeze(0)).mean[0].float().cpu().numpy()
            facts["latent_rate"] = self.codec.sample_rate / self.codec.downsampling
        return Sample(sample.key, facts, embedding, latents)


def cut_windows(mono: Tensor, embedder: Embedder) -> tuple[Tensor, list[list[float]]]:
    """Consecutive windows of audio ``[samples]`` and their times in seconds.

    A last window that is short is filled by wrapping round to its own beginning, as MuQ-MuLan does.
    """
    size = int(embedder.window_seconds * embedder.sample_rate)
    windows, times = [], []
    for begin in range(0, max(1, mono.shape[0]), size):
        part = mono[begin : begin + size]
        if times and part.shape[0] < embedder.sample_rate:
            break  # under a second: nothing to describe
        times.append([begin / embedder.sample_rate, (begin + part.shape[0]) / embedder.sample_rate])
        repeats = -(-size // max(1, part.shape[0]))
        windows.append(part.repeat(repeats)[:size])
    return torch.stack(windows), times


def cache_folder(
    source: Path, out: Path, encode: Encoder, samples_per_shard: int, rank: int = 0, world: int = 1
) -> Iterator[bool]:
    """Encode a folder of audio shards; yields, for each sample, whether it was encoded or there already.

    What an interrupted run has written stays, and is not encoded again.

    Args:
        source: folder of shards with audio.
        out: folder of the result.
        encode: what is computed.
        samples_per_shard: of the result.
        rank: which part of the samples.
        world: how many parts.
    """
    folder = ShardFolder(source, ["audio"])
    part = f"rank{rank:04d}" if world > 1 else ""
    made_by = {**encode.made_by, "audio": dict(folder.index.made_by)}
    with ShardWriter(out, made_by, samples_per_shard, part, append=True) as writer:
        for position in range(rank, len(folder), world):
            sample = folder[position]
            new = sample.key not in writer.keys
            if new:
                writer.write(encode(sample))
            yield new


def part_of(total: int, rank: int, world: int) -> int:
    """How many of ``total`` samples a rank has."""
    return len(range(rank, total, world))
