"""The three models in a row: items to embeddings to latents to clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from musegen.fingerprint import hash_data, hash_tensor, hash_weights, machine
from musegen.generation.clip import Clip
from musegen.generation.plan import Item, Plan
from musegen.generation.stage import PipelineStage, ready
from musegen.generation.start import Start
from musegen.models.oobleck import OobleckAutoencoder

CHUNK_FRAMES = 128
"""Frames of latents that are decoded at a time."""

AUTO_GROUP = 16
"""Clips that are sampled before the first of them is decoded, where a stage chooses its own lane."""

Progress = Callable[[str, int, int], None]
"""Told what is being made (``embeddings``, ``latents``), how much of it is done, and of how much."""


class Chain:
    """Both stages and the codec on their device.

    Args:
        text2muq: stage 1.
        stable_audio_muq: stage 2.
        vae: the codec; it is moved and folded in place.
        device: where all of them compute.
        variable_length: sample no more frames than a clip needs.
        name: what clips say they were made with.
        licences: of the weights and of the data behind them.
    """

    def __init__(
        self,
        text2muq: PipelineStage,
        stable_audio_muq: PipelineStage,
        vae: OobleckAutoencoder,
        device: torch.device,
        variable_length: bool = False,
        name: str = "",
        licences: Sequence[str] = (),
    ) -> None:
        self.text2muq, self.stable_audio_muq = text2muq, stable_audio_muq
        self.device, self.variable_length, self.name = device, variable_length, name
        self.licences = sorted({*licences, *text2muq.licences, *stable_audio_muq.licences})
        self.vae_identity = {"weights": hash_weights(vae), "recipe": hash_data(vae.config), "chunk": CHUNK_FRAMES}
        self.vae = ready(vae, device).fold_weight_norm()

    @torch.inference_mode()
    def embeddings(self, items: Sequence[Item], plan: Plan, progress: Progress | None) -> Tensor:
        """Stage 1: unit vectors ``[items, dim]``."""
        assert plan.text2muq is not None
        stage = self.text2muq
        prompts = dict.fromkeys(item.prompt for item in items)
        conditions = {prompt: stage.condition({"caption": [prompt]}) for prompt in prompts}
        return stage.sample(
            [conditions[item.prompt] for item in items],
            [item.seed for item in items],
            plan.text2muq,
            unconditional=None if plan.negative is None else stage.condition({"caption": [plan.negative]}),
            progress=None if progress is None else _part(progress, "embeddings", 0, 1, 1),
        )

    def clips(self, items: Sequence[Item], embeddings: Tensor, plan: Plan, progress: Progress | None) -> Iterator[Clip]:
        """Stage 2 and the codec, a lane at a time, so that what is finished can be kept."""
        width = self.stable_audio_muq.width
        width = width if isinstance(width, int) else AUTO_GROUP
        for start in range(0, len(items), width):
            group = slice(start, start + width)
            some = items[group]
            told = None if progress is None else _part(progress, "latents", start, len(some), len(items))
            latents = self.latents(some, embeddings[group], plan, told)
            for item, embedding, made in zip(some, embeddings[group], latents, strict=True):
                yield self._clip(item, embedding, made, plan)

    @torch.inference_mode()
    def latents(
        self,
        items: Sequence[Item],
        embeddings: Tensor,
        plan: Plan,
        progress: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Stage 2: latents ``[items, channels, frames]``."""
        stage = self.stable_audio_muq
        length = {"seconds_start": torch.zeros(1), "seconds_total": torch.tensor([plan.seconds])}
        conditions = [
            stage.condition({"caption": [item.prompt], "embedding": embedding[None].clone(), **length})
            for item, embedding in zip(items, embeddings, strict=True)
        ]
        shape = stage.model.network.shape[0], self.frames(plan.seconds)
        start = None if plan.start is None else fitted(plan.start, shape)
        return stage.sample(
            conditions,
            [item.seed for item in items],
            plan.stable_audio_muq,
            shape=shape,
            start=start,
            start_time=0.0 if plan.start is None else plan.start.time,
            progress=progress,
        )

    @torch.inference_mode()
    def decode(self, latents: Tensor, samples: int) -> Tensor:
        """The codec: latents ``[items, channels, frames]`` to audio ``[items, 2, samples]``.

        One item at a time and in chunks; frames that no sample depends on are left out.
        """
        frames = self.vae.frames(samples) + self.vae.decoder_context
        heard = []
        for item in latents.split(1):
            # a copy, because kernels may treat one that begins in the middle of a batch another way
            own = item[..., :frames].to(self.device, torch.float32, copy=True)
            heard.append(self.vae.decode_chunked(own, CHUNK_FRAMES)[..., :samples])
        return torch.cat(heard).float().cpu()

    def frames(self, seconds: float) -> int:
        """Frames of latents that are sampled for a clip of so many seconds."""
        whole = self.stable_audio_muq.model.network.shape[-1]
        return self.vae.frames(self.samples(seconds)) if self.variable_length else whole

    def samples(self, seconds: float) -> int:
        """Samples of so many seconds, at least one."""
        return max(1, round(seconds * self.vae.sample_rate))

    def _clip(self, item: Item, embedding: Tensor, latents: Tensor, plan: Plan) -> Clip:
        return Clip(
            audio=self.decode(latents[None], self.samples(plan.seconds))[0],
            sample_rate=self.vae.sample_rate,
            prompt=item.prompt,
            seed=item.seed,
            embedding=embedding,
            model=self.name,
            settings={**plan.recipe(), "lane": self.stable_audio_muq.lane},
            fingerprint=self._fingerprint(item, embedding, latents.shape[-1], plan),
            licences=self.licences,
            latents=latents,
        )

    def _fingerprint(self, item: Item, embedding: Tensor, frames: int, plan: Plan) -> dict[str, Any]:
        if plan.text2muq is None:
            stage1 = {"embedding": hash_tensor(embedding)}
        else:
            stage1 = self.text2muq.fingerprint(plan.text2muq)
        request = {"prompt": item.prompt, "negative": plan.negative, "seed": item.seed, "seconds": plan.seconds}
        if plan.start is not None:
            request["start"] = hash_tensor(plan.start.latents)
            request["strength"] = plan.start.strength
        return {
            **machine(self.device),
            "request": request,
            "text2muq": stage1,
            "stable_audio_muq": {**self.stable_audio_muq.fingerprint(plan.stable_audio_muq), "frames": frames},
            "vae": self.vae_identity,
        }


def fitted(start: Start, shape: tuple[int, int]) -> Tensor:
    """What to start from as a batch of one, ``[1, channels, frames]``, float32.

    Raises:
        ValueError: if it was made by another codec, or for another length.
    """
    if tuple(start.latents.shape) != shape:
        raise ValueError(f"start: expected latents {list(shape)}, got {list(start.latents.shape)}")
    return start.latents[None].float()


def _part(progress: Progress, name: str, before: int, here: int, items: int) -> Callable[[int, int], None]:
    """Progress of ``here`` of the items, after the ``before`` that are done, told as progress of all."""
    return lambda done, total: progress(name, before * total // here + done, items * total // here)
