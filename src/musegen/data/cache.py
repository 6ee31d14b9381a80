"""From audio to what training reads: embeddings and latents, computed once."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
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
from musegen.data.shard_index import differences, digest, read_index_file
from musegen.data.shard_table import read_table
from musegen.data.shard_writer import UNKNOWN, ShardWriter
from musegen.models.oobleck import OobleckAutoencoder

PREPROCESSING = "2: mean of both sides; whole windows, the last filled up from the beginning of the piece"
"""What embeddings depend on beside their embedder; part of ``made_by``, so that others are not mixed with these."""


@dataclass(frozen=True)
class Encoder:
    """Encodes samples.

    Args:
        embedder: of music; None leaves embeddings out.
        codec: of latents; None leaves them out.
        codec_name: what names the codec's weights in the index: a hash of them.
        device: where both compute.
        codec_licences: of the codec's weights.
    """

    embedder: Embedder | None
    codec: OobleckAutoencoder | None
    codec_name: str | None
    device: torch.device
    codec_licences: Sequence[str] = ()

    @property
    def made_by(self) -> dict[str, Any]:
        """What the index says of how the shards were made."""
        made_by: dict[str, Any] = {}
        if self.embedder is not None:
            made_by["embedding"] = {**self.embedder.config, "revision": self.embedder.revision}
            made_by["preprocessing"] = PREPROCESSING
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
        if not len(samples):
            raise ValueError(f"sample {sample.key!r}: expected audio: it is empty")
        audio = torch.from_numpy(samples.T.copy()).to(self.device)
        facts = {**sample.facts, "seconds": audio.shape[1] / rate, "licence": self._licence(sample)}
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

    def _licence(self, sample: Sample) -> str:
        """What music and weights together are under, such as ``CC-BY-4.0 AND CC-BY-NC-4.0``."""
        own = str(sample.facts.get("licence") or UNKNOWN).split(" AND ")
        embedder = [] if self.embedder is None else [self.embedder.licence]
        return " AND ".join(sorted({*own, *embedder, *self.codec_licences}))


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


def cache_folder(
    source: Path, out: Path, encode: Encoder, samples_per_shard: int, rank: int = 0, world: int = 1
) -> Iterator[bool]:
    """Encode a folder of audio shards; yields, for each sample, whether it was encoded or there already.

    What an interrupted run has written stays, and is not encoded again, even if that run had another number of parts.

    Args:
        source: folder of shards with audio.
        out: folder of the result.
        encode: what is computed.
        samples_per_shard: of the result.
        rank: which part of the samples.
        world: how many parts.

    Raises:
        ValueError: if ``out`` holds shards that were made otherwise, or a sample cannot be encoded.
    """
    folder, names = ShardFolder(source, ["audio"]), ShardFolder(source, check=False)
    part = f"rank{rank:04d}" if world > 1 else ""
    made_by = {**encode.made_by, "audio": dict(folder.index.made_by)}
    there = _written(out, made_by)
    with ShardWriter(out, made_by, samples_per_shard, part, append=True) as writer:
        for position in range(rank, len(folder), world):
            new = names[position].key not in there
            if new:
                writer.write(encode(folder[position]))
            yield new


def _written(folder: Path, made_by: Mapping[str, Any]) -> set[str]:
    """Keys of all samples that any part of a folder has."""
    keys: set[str] = set()
    for path in sorted(folder.glob("index*.json")):
        index = read_index_file(path)
        if digest(index.made_by) != digest(made_by):
            different = differences(made_by, index.made_by) or ["they name more than this run"]
            raise ValueError(f"{folder}: cannot append, its shards were made otherwise: {'; '.join(different)}")
        for shard in index.shards:
            keys.update(read_table(folder / shard.name, shard.samples).keys)
    return keys


def part_of(total: int, rank: int, world: int) -> int:
    """How many of ``total`` samples a rank has."""
    return len(range(rank, total, world))
