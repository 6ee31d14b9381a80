"""The three models in a row: items to embeddings to latents to clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from musegen.fingerprint import hash_data, hash_tensor, hash_weights, machine
from musegen.generation.clip import Clip
from musegen.generation.decoding import AUTO, Decoder, choose_decoder
from musegen.generation.plan import Item, Plan
from musegen.generation.stage import PipelineStage, ready
from musegen.generation.start import Start
from musegen.models.oobleck import OobleckAutoencoder

AUTO_GROUP = 16
"""Clips that are sampled before the first of them is decoded, where a stage chooses its own lane."""

Progress = Callable[[str, int, int], None]
"""Told what is being made (``embeddings``, ``latents``), how much of it is done, and of how much."""


@dataclass(frozen=True)
class _Sampled:
    """What stage 2 made, with the fingerprint of that moment: the next lane may have to be narrower."""

    item: Item
    embedding: Tensor
    latents: Tensor
    fingerprint: dict[str, Any]


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
        decoder: how latents are decoded; see `choose_decoder`.
        overlap: decode a lane while the next one is sampled; by default on a CUDA GPU. It changes no bits.
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
        decoder: str = AUTO,
        overlap: bool | None = None,
    ) -> None:
        self.text2muq, self.stable_audio_muq = text2muq, stable_audio_muq
        self.device, self.variable_length, self.name = device, variable_length, name
        self.licences = sorted({*licences, *text2muq.licences, *stable_audio_muq.licences})
        self.overlap = device.type == "cuda" if overlap is None else overlap
        chosen = choose_decoder(decoder, vae, device, next(stable_audio_muq.model.network.parameters()).dtype)
        self.vae_identity = {"weights": hash_weights(vae), "recipe": hash_data(vae.config), **chosen.arithmetic()}
        self.vae = ready(vae, device).fold_weight_norm()
        self.decoder = Decoder(self.vae, chosen)

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

        def sample(start: int) -> list[_Sampled]:
            group = slice(start, start + width)
            some = items[group]
            told = None if progress is None else _part(progress, "latents", start, len(some), len(items))
            latents = self.latents(some, embeddings[group], plan, told)
            made = zip(some, embeddings[group], latents, strict=True)
            return [_Sampled(*one, self._fingerprint(*one, plan)) for one in made]

        starts = range(0, len(items), width)
        if self.overlap and len(starts) > 1:
            yield from self._decoded_behind(map(sample, starts), plan)
            return
        for made in map(sample, starts):
            for one in made:
                yield self._clip(one, plan)

    def _decoded_behind(self, lanes: Iterator[list[_Sampled]], plan: Plan) -> Iterator[Clip]:
        """Clips of one lane after the other: a thread decodes each while the next one is sampled.

        When sampling ends early, what was sampled before is still decoded and handed out first.
        """
        with torch.inference_mode():
            self.decoder.prepare(self._needed(self.frames(plan.seconds), self.samples(plan.seconds)))
        stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

        def make(one: _Sampled) -> Clip:
            with torch.cuda.stream(stream):  # type: ignore[arg-type]  # none of its own without CUDA
                return self._clip(one, plan)

        waiting: list[Future[Clip]] = []
        with ThreadPoolExecutor(1, "decode") as behind:
            while True:
                try:
                    lane = next(lanes, None)
                except BaseException:
                    yield from (clip.result() for clip in waiting)
                    raise
                yield from (clip.result() for clip in waiting)
                if lane is None:
                    return
                waiting = [behind.submit(make, one) for one in lane]

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
        frames = self._needed(latents.shape[-1], samples)
        heard = []
        for item in latents.split(1):
            # a copy, because kernels may treat one that begins in the middle of a batch another way
            own = item[..., :frames].to(self.device, torch.float32, copy=True)
            heard.append(self.decoder(own)[..., :samples].float().cpu())
        return torch.cat(heard)

    def _needed(self, frames: int, samples: int) -> int:
        """Frames, of so many, that so many samples depend on."""
        return min(frames, self.vae.frames(samples) + self.vae.decoder_context)

    def frames(self, seconds: float) -> int:
        """Frames of latents that are sampled for a clip of so many seconds."""
        whole = self.stable_audio_muq.model.network.shape[-1]
        return self.vae.frames(self.samples(seconds)) if self.variable_length else whole

    def samples(self, seconds: float) -> int:
        """Samples of so many seconds, at least one."""
        return max(1, round(seconds * self.vae.sample_rate))

    def ways(self) -> dict[str, Any]:
        """How the networks and the decoder are run, as they were settled: what ``execution`` and ``decoder`` take."""
        stages = {"text2muq": self.text2muq, "stable_audio_muq": self.stable_audio_muq}
        executions = {name: stage.prepared.execution.config for name, stage in stages.items()}
        return {"execution": executions, "decoder": str(self.decoder.choice)}

    def _clip(self, sampled: _Sampled, plan: Plan) -> Clip:
        return Clip(
            audio=self.decode(sampled.latents[None], self.samples(plan.seconds))[0],
            sample_rate=self.vae.sample_rate,
            prompt=sampled.item.prompt,
            seed=sampled.item.seed,
            embedding=sampled.embedding,
            model=self.name,
            settings={**plan.recipe(), "lane": self.stable_audio_muq.lane, **self.ways()},
            fingerprint=sampled.fingerprint,
            licences=self.licences,
            latents=sampled.latents,
        )

    def _fingerprint(self, item: Item, embedding: Tensor, latents: Tensor, plan: Plan) -> dict[str, Any]:
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
            "stable_audio_muq": {
                **self.stable_audio_muq.fingerprint(plan.stable_audio_muq),
                "frames": latents.shape[-1],
            },
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
