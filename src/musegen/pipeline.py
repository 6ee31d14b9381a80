"""Text to music: prompts to embeddings to latents to audio, batched; the Python interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from musegen.checkpoints import load_model, read_licences
from musegen.devices import choose_device, choose_dtype
from musegen.fingerprint import flatten
from musegen.flow.execution.choice import AUTO, ExecutionChoice
from musegen.flow.execution.eager import Eager
from musegen.flow.lanes import Lane
from musegen.flow.model import FlowModel
from musegen.flow.settings import SamplingSettings
from musegen.generation.chain import Chain, Progress
from musegen.generation.clip import Clip
from musegen.generation.folder import PARTS, POSTER, find_pipeline, read_pipeline
from musegen.generation.packing import unpack
from musegen.generation.plan import (
    Item,
    Options,
    Plan,
    Stage1Options,
    Stage2Options,
    check_prompt,
    check_prompts,
    check_seconds,
    check_seeds,
    make_items,
    one_each,
    options_of,
)
from musegen.generation.stage import PipelineStage
from musegen.generation.start import Start, encode_start
from musegen.models.oobleck import OobleckAutoencoder

MAX_THREADS = 256

BEFORE = Eager(skip_null=False).config
"""How clips were made whose JSON does not say."""


class TextToMusic:
    """The two stages and the codec, ready to make music.

    A clip's bits depend on its fingerprint alone: not on the other clips of a call, their number or their order.

    Args:
        text2muq: stage 1, a caption to an embedding.
        stable_audio_muq: stage 2, an embedding to latents.
        vae: latents to audio.
        defaults: what ``pipeline.json`` says: how each stage is sampled; ``variable_length`` for a stage 2 that was
            trained to make no more frames than are asked for, instead of silence up to its full length.
        device: ``auto`` (a CUDA GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` …
        dtype: what the two networks compute in; by default bfloat16 on a CUDA GPU, float32 elsewhere.
        lane: items that a network takes in one execution; None for the device's own width; ``auto`` for the fastest,
            whose results agree within a tolerance instead of bit for bit.
        execution: how the networks' evaluations are run: ``auto``, ``eager``, ``graph``, ``compiled``,
            ``compiled_whole``, a class path, a recipe, an example; or one of them for each of ``text2muq`` and
            ``stable_audio_muq``. ``auto`` replays CUDA graphs on a GPU, with the bits of ``eager``, and is ``eager``
            elsewhere; with ``lane="auto"`` it compiles where there is enough to do. What a device cannot do falls back.
        decoder: how latents are decoded: ``auto``, or ``plain``, ``fast``, ``snakes``, ``kernels``, perhaps with
            ``graph`` or ``compiled`` behind it; see `musegen.generation.decoding.choose_decoder`.
        name: what clips say they were made with.
        licences: of the weights and of the data behind them.
        trust: packages besides musegen whose samplers, guidances and executions may be built by name.

    Raises:
        ValueError: for a device that is not there, an unknown dtype, or defaults that name something unknown.
    """

    def __init__(
        self,
        text2muq: FlowModel,
        stable_audio_muq: FlowModel,
        vae: OobleckAutoencoder,
        *,
        defaults: Mapping[str, Any] = POSTER,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype | None = None,
        lane: Lane = None,
        execution: ExecutionChoice = AUTO,
        decoder: str = AUTO,
        name: str = "",
        licences: Sequence[str] = (),
        trust: Sequence[str] = (),
    ) -> None:
        self.trust = tuple(trust)
        chosen = choose_device(device)
        precision = choose_dtype(dtype, chosen)
        stage1, stage2 = (
            PipelineStage(
                model,
                SamplingSettings.from_recipe(defaults[part], trust),
                chosen,
                precision,
                lane,
                _of_part(execution, part),
                trust,
            )
            for part, model in (("text2muq", text2muq), ("stable_audio_muq", stable_audio_muq))
        )
        variable = bool(defaults.get("variable_length", False))
        self.chain = Chain(stage1, stage2, vae, chosen, variable, name, licences, decoder)

    @classmethod
    def load(
        cls,
        model: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype | None = None,
        lane: Lane = None,
        trust: Sequence[str] = (),
        execution: ExecutionChoice = AUTO,
        decoder: str = AUTO,
    ) -> TextToMusic:
        """Load a pipeline.

        Args:
            model: a folder, the name of a pipeline that ships with the package, or None for the default one.
            device: see `TextToMusic`.
            dtype: see `TextToMusic`.
            lane: see `TextToMusic`.
            trust: packages besides musegen whose classes the folder's configs may name. Importing runs their code.
            execution: see `TextToMusic`.
            decoder: see `TextToMusic`.

        Raises:
            ValueError: if there is no such pipeline, or its files are not what they should be.
        """
        chosen = choose_device(device)
        folder = find_pipeline(model)
        return cls(
            load_model(folder / "text2muq", FlowModel, trust),
            load_model(folder / "stable_audio_muq", FlowModel, trust),
            load_model(folder / "vae", OobleckAutoencoder, trust),
            defaults=read_pipeline(folder),
            device=chosen,
            dtype=dtype,
            lane=lane,
            execution=execution,
            decoder=decoder,
            name=str(folder.resolve()) if model is not None and folder == Path(model) else folder.name,
            licences=[licence for part in PARTS for licence in read_licences(folder / part)],
            trust=trust,
        )

    @classmethod
    def load_like(
        cls,
        described: Mapping[str, Any],
        model: str | Path | None = None,
        device: str | torch.device = "auto",
        dtype: str | torch.dtype | None = None,
        lane: Lane = None,
        trust: Sequence[str] = (),
        execution: ExecutionChoice | None = None,
        decoder: str | None = None,
    ) -> TextToMusic:
        """Load the pipeline of a clip to compute as it was computed, for `remake`.

        What is not None or ``auto`` overrides the clip's own. On a CPU this also sets the process's number of threads.

        Args:
            described: what the JSON beside the clip says; see `musegen.generation.clip.read_clip`.
            model: see `load`.
            device: see `load`.
            dtype: see `load`.
            lane: see `load`.
            trust: see `load`.
            execution: see `load`.
            decoder: see `load`.
        """
        then = described["fingerprint"]
        if device == "auto" and then.get("backend") == "cpu":
            device = "cpu"
        if str(device) == "cpu" and isinstance(then.get("threads"), int):
            torch.set_num_threads(min(max(1, then["threads"]), MAX_THREADS))
        settings = described["settings"]
        own = settings.get("lane") if lane is None else lane
        run = settings.get("execution", BEFORE) if execution is None else execution
        decoded = settings.get("decoder", "plain") if decoder is None else decoder
        dtype = dtype or flatten(then).get("stable_audio_muq.dtype")
        return cls.load(model or described["model"] or None, device, dtype, own, trust, run, decoded)

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.chain.device

    @property
    def licences(self) -> list[str]:
        """Of the weights and of the data behind them."""
        return self.chain.licences

    @property
    def sample_rate(self) -> int:
        """Of the audio, Hz."""
        return self.chain.vae.sample_rate

    @property
    def max_seconds(self) -> float:
        """Length of the longest clip."""
        frames = self.chain.stable_audio_muq.model.network.shape[-1]
        return frames * self.chain.vae.downsampling / self.sample_rate

    def generate(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] = 0,
        progress: Progress | None = None,
        **options: Unpack[Options],
    ) -> list[Clip]:
        """Make a clip of every prompt with every seed.

        Args:
            prompts: one or several.
            seeds: one or several, each from 0 to 2⁶³ - 1.
            progress: told how far it is.
            options: see `musegen.generation.plan.Options`: seconds, steps, guidance, sampler, start, strength,
                negative, stage1_steps, stage1_guidance, stage1_sampler.

        Returns:
            Clips, all of the first prompt, then all of the second …

        Raises:
            ValueError: for an option that is out of range or unknown.
        """
        return list(self.stream(prompts, seeds, progress, **options))

    def stream(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] = 0,
        progress: Progress | None = None,
        **options: Unpack[Options],
    ) -> Iterator[Clip]:
        """Like `generate`, one clip after the other as it is finished. All is checked before this returns."""
        items, plan = make_items(prompts, seeds), self.plan(**options)

        def make() -> Iterator[Clip]:
            embeddings = self.chain.embeddings(items, plan, progress)
            yield from self.chain.clips(items, embeddings, plan, progress)

        return make()

    def embed(
        self,
        prompts: str | Sequence[str],
        seeds: int | Sequence[int] = 0,
        progress: Progress | None = None,
        **options: Unpack[Stage1Options],
    ) -> Tensor:
        """Stage 1 alone: an embedding of every prompt with every seed.

        Returns:
            Unit vectors ``[prompts · seeds, dim]``, float32, on the CPU, in the order of `generate`.
        """
        return self.chain.embeddings(make_items(prompts, seeds), self.plan(**options), progress)

    def render(
        self,
        embeddings: Tensor,
        seeds: int | Sequence[int] = 0,
        prompts: str | Sequence[str] | None = None,
        progress: Progress | None = None,
        **options: Unpack[Stage2Options],
    ) -> list[Clip]:
        """Stage 2 and the codec alone: a clip of every embedding.

        Args:
            embeddings: unit vectors ``[items, dim]``.
            seeds: one for each item, or one for all.
            prompts: one for each item, or one for all; needed only by a model that reads the caption beside the
                embedding.
            progress: told how far it is.
            options: see `musegen.generation.plan.Stage2Options`.

        Raises:
            ValueError: for embeddings of another width, or other numbers of seeds or prompts.
        """
        width = self.chain.text2muq.model.network.shape[0]
        if embeddings.ndim != 2 or embeddings.shape[1] != width or not len(embeddings):
            raise ValueError(f"embeddings: expected [items, {width}], got {list(embeddings.shape)}")
        count = len(embeddings)
        chosen = one_each("seeds", check_seeds(seeds), count)
        texts = [""] * count if prompts is None else one_each("prompts", check_prompts(prompts), count)
        items = [Item(prompt, seed) for prompt, seed in zip(texts, chosen, strict=True)]
        plan = replace(self.plan(**options), text2muq=None)
        return list(self.chain.clips(items, embeddings.float().cpu(), plan, progress))

    def decode(self, latents: Tensor, seconds: float | None = None) -> Tensor:
        """The codec alone: latents ``[items, channels, frames]`` to audio ``[items, 2, samples]``, float32, on the CPU.

        One item at a time and in chunks, so that memory does not grow. What lies behind ``seconds`` is left out.
        """
        samples = latents.shape[-1] * self.chain.vae.downsampling
        if seconds is not None:
            samples = self.chain.samples(check_seconds(seconds, samples / self.sample_rate))
        return self.chain.decode(latents, samples)

    def remake(self, described: Mapping[str, Any], progress: Progress | None = None) -> Clip:
        """Make a clip again from what the JSON beside it says; see `musegen.generation.clip.read_clip`."""
        options = options_of(described["settings"])
        prompt, seed = described["prompt"], described["seed"]
        if described["settings"]["text2muq"] is not None:
            return self.generate(prompt, seed, progress, **options)[0]
        given = unpack(described["embedding"])[None]
        stage2: Any = {name: options.get(name) for name in Stage2Options.__optional_keys__}
        return self.render(given, seed, prompt or None, progress, **stage2)[0]

    def plan(self, **options: Unpack[Options]) -> Plan:
        """Fill in what the options leave open, and check them.

        Raises:
            ValueError: for an option that is out of range or unknown.
        """
        unknown = set(options) - Options.__optional_keys__
        if unknown:
            known = ", ".join(sorted(Options.__optional_keys__))
            raise ValueError(f"unknown option {', '.join(sorted(unknown))}; expected one of {known}")
        negative = options.get("negative")
        seconds = check_seconds(options.get("seconds"), self.max_seconds)
        return Plan(
            seconds=seconds,
            negative=None if negative is None else check_prompt(negative, "negative"),
            text2muq=self.chain.text2muq.defaults.override(
                options.get("stage1_sampler"), options.get("stage1_steps"), options.get("stage1_guidance"), self.trust
            ),
            stable_audio_muq=self.chain.stable_audio_muq.defaults.override(
                options.get("sampler"), options.get("steps"), options.get("guidance"), self.trust
            ),
            start=self._start(options.get("start"), options.get("strength"), seconds),
        )

    def _start(self, given: Start | str | Path | Tensor | None, strength: float | None, seconds: float) -> Start | None:
        if given is None:
            if strength is not None:
                raise ValueError("strength: expected only with start, the music to begin with")
            return None
        if isinstance(given, Start):
            return given
        with self.chain.decoder.codec() as vae:
            return encode_start(given, strength, vae, self.device, self.chain.frames(seconds))


def _of_part(execution: Any, part: str) -> ExecutionChoice:
    """The execution of one stage, where each may have its own."""
    if isinstance(execution, Mapping) and "class_path" not in execution:
        return execution.get(part, AUTO)
    return execution
