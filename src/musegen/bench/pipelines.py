"""Whole pipelines to measure: with random weights at any size, and with a clock in each of their parts."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.bench.decoders import decoder_cost
from musegen.bench.networks import CODEC, EMBEDDING, LATENTS, build, evaluation_cost
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.conditioning.minilm import MiniLM
from musegen.conditioning.seconds import SecondsConditioner
from musegen.flow.field import Field
from musegen.flow.model import FlowModel
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.settings import SamplingSettings
from musegen.generation.clip import Clip
from musegen.generation.stage import frozen_encoders
from musegen.generation.writing import ClipWriter
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.models.oobleck import OobleckAutoencoder
from musegen.pipeline import TextToMusic

MUQ_TOKENS = 8
PARTS = ("text", "stage 1", "stage 2", "decode", "write")


def check_size(size: str) -> str:
    """Return a size that all three networks have.

    Raises:
        ValueError: for another.
    """
    if size not in CODEC:
        raise ValueError(f"size: expected one of {', '.join(CODEC)}, got {size!r}")
    return size


def random_pipeline(size: str, device: torch.device, defaults: dict[str, Any], **arguments: Any) -> TextToMusic:
    """A pipeline of random weights, told by MiniLM, as the poster's is apart from its text encoder.

    Args:
        size: poster or small, of all three networks; see `musegen.bench.networks`.
        device: where it is.
        defaults: how each stage is sampled.
        arguments: of `TextToMusic`.
    """

    def stage1() -> FlowModel:
        told = Conditioning({"caption": CaptionConditioner(MiniLM())}, ["caption"])
        sizes: dict[str, Any] = {**EMBEDDING[size], "text_dim": MiniLM.dim}
        network = EmbeddingTransformer(**sizes)
        return FlowModel(network, told, RectifiedFlow(), normalise_output=True)

    def stage2() -> FlowModel:
        network = DiffusionTransformer(**LATENTS[size])
        width, times = network.condition_dim, ["seconds_start", "seconds_total"]
        muq = EmbeddingConditioner(512, tokens=MUQ_TOKENS, dim=width)
        seconds = {name: SecondsConditioner(name, dim=width) for name in times}
        return FlowModel(network, Conditioning({"muq": muq, **seconds}, ["muq", *times], times), CosinePath())

    parts = [build(make, device) for make in (stage1, stage2, lambda: OobleckAutoencoder(**CODEC[size]))]
    return TextToMusic(*parts, defaults=defaults, device=device, **arguments)


def least_work(size: str, defaults: dict[str, Any]) -> float:
    """Floating-point operations that one clip of the pipeline's full length asks for, guided, text encoder left out."""
    paths = {"text2muq": RectifiedFlow(), "stable_audio_muq": CosinePath()}
    sizes = {"text2muq": (EMBEDDING, 64), "stable_audio_muq": (LATENTS, MUQ_TOKENS + 2)}
    total = decoder_cost(size, int(LATENTS[size].get("frames", 1024)))
    for part, path in paths.items():
        settings = SamplingSettings.from_recipe(defaults[part])
        flops, _ = evaluation_cost(sizes[part][0], size, sizes[part][1])
        total += flops * evaluations(settings, path)
    return total


def evaluations(settings: SamplingSettings, path: Any) -> int:
    """How often a sampler of a fixed grid asks its network for one item."""
    field = Field(lambda x, time: torch.zeros_like(x), path)
    times = settings.sampler.times(settings.steps, path)
    settings.sampler.sample(field, torch.zeros(1, 2), times, lambda step: torch.zeros(1, 2), None)
    return int(field.evaluations[0])


class Clock:
    """Seconds that each part of a pipeline is busy; parts that run beside each other are counted in full.

    Args:
        pipeline: its parts are watched from now on.
    """

    def __init__(self, pipeline: TextToMusic) -> None:
        self.pipeline = pipeline
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)
        self._lock = threading.Lock()
        chain = pipeline.chain
        for owner, method, part in (
            (chain.text2muq, "condition", "text"),
            (chain.text2muq, "sample", "stage 1"),
            (chain, "latents", "stage 2"),
            (chain, "decode", "decode"),
        ):
            setattr(owner, method, self.watch(getattr(owner, method), part))

    def watch(self, function: Callable[..., Any], part: str) -> Callable[..., Any]:
        """The function, its time counted."""

        @functools.wraps(function)
        def watched(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            if self.pipeline.device.type == "cuda":
                torch.cuda.current_stream(self.pipeline.device).synchronize()  # not the device: others work there too
            with self._lock:
                self.seconds[part] += time.perf_counter() - begin
            return result

        return watched

    def text_encoder_bytes(self) -> int:
        """What the text encoder's weights take; nothing before it was used."""
        encoders = frozen_encoders(self.pipeline.chain.text2muq.model)
        networks = [loaded[0] for encoder in encoders if (loaded := getattr(encoder, "_loaded", None))]
        return sum(value.numel() * value.element_size() for network in networks for value in network.parameters())

    def clear(self) -> None:
        """Begin at zero."""
        self.seconds = dict.fromkeys(PARTS, 0.0)


def write_clips(clock: Clock, prompts: list[str], folder: Path, together: bool, seconds: float | None) -> Tensor:
    """Make a file of every prompt, all in one call or each in a call of its own; returns the last one's audio."""
    last: list[Clip] = []
    calls = [prompts] if together else [[prompt] for prompt in prompts]
    with ClipWriter() as writer:
        writer._write = clock.watch(writer._write, "write")  # type: ignore[method-assign]
        for call in calls:
            for clip in clock.pipeline.stream(call, 0, seconds=seconds):
                writer.save(clip, folder / f"{prompts.index(clip.prompt)}.wav")
                last[:] = [clip]
    return last[0].audio
