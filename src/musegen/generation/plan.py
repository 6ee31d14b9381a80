"""What was asked for, checked before anything is computed."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from torch import Tensor

from musegen.flow.settings import GuidanceChoice, SamplerChoice, SamplingSettings
from musegen.generation.start import Start

T = TypeVar("T")

MAX_PROMPT = 10_000
"""Characters of the longest prompt that is taken for one; encoders cut at a few hundred tokens anyway."""


class Stage1Options(TypedDict, total=False):
    """How embeddings are sampled; what is left out, or None, is the pipeline's own choice.

    ``negative`` is a prompt to move away from. ``stage1_sampler`` is a short name (``heun``), a class path, a recipe or
    an object; ``stage1_guidance`` is such a thing too, or a number, the scale.
    """

    negative: str | None
    stage1_steps: int | None
    stage1_guidance: GuidanceChoice | None
    stage1_sampler: SamplerChoice | None


class Stage2Options(TypedDict, total=False):
    """How audio is sampled from embeddings; what is left out, or None, is the pipeline's own choice.

    ``seconds`` is the length, by default the longest that the model makes; ``steps``, ``guidance`` and ``sampler`` are
    as in `Stage1Options`. ``start`` is music to begin with in place of noise: an audio file, or audio ``[channels,
    samples]`` at the pipeline's rate; ``strength`` is how much of it is made anew, between 0 and 1, by default 0.7.
    """

    seconds: float | None
    steps: int | None
    guidance: GuidanceChoice | None
    sampler: SamplerChoice | None
    start: Start | str | Path | Tensor | None
    strength: float | None


class Options(Stage1Options, Stage2Options, total=False):
    """How clips are made, both stages."""


@dataclass(frozen=True)
class Item:
    """One clip to make."""

    prompt: str
    seed: int


@dataclass(frozen=True)
class Plan:
    """How to make clips, with every choice made.

    Args:
        seconds: length of a clip.
        negative: what stage 1 moves away from; None for no text.
        text2muq: how stage 1 is sampled; None where embeddings are given.
        stable_audio_muq: how stage 2 is sampled.
        start: what stage 2 begins with; None for noise alone.
    """

    seconds: float
    negative: str | None
    text2muq: SamplingSettings | None
    stable_audio_muq: SamplingSettings
    start: Start | None = None

    def recipe(self) -> dict[str, Any]:
        """JSON-able, as the JSON beside a clip has it."""
        return {
            "seconds": self.seconds,
            "negative": self.negative,
            "text2muq": None if self.text2muq is None else self.text2muq.recipe(),
            "stable_audio_muq": self.stable_audio_muq.recipe(),
            **({} if self.start is None else {"start": self.start.recipe()}),
        }


def options_of(settings: Mapping[str, Any]) -> Options:
    """The options that make the same plan again; the inverse of `Plan.recipe`.

    Raises:
        ValueError: if the settings are not those of a clip.
    """
    try:
        stage1, stage2 = settings["text2muq"] or {}, settings["stable_audio_muq"]
        return Options(
            seconds=settings["seconds"],
            negative=settings["negative"],
            stage1_sampler=stage1.get("sampler"),
            stage1_steps=stage1.get("steps"),
            stage1_guidance=stage1.get("guidance"),
            sampler=stage2["sampler"],
            steps=stage2["steps"],
            guidance=stage2["guidance"],
            start=Start.from_recipe(settings["start"]) if "start" in settings else None,
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"settings: expected those of a clip, got none for {error}") from None


def check_prompt(prompt: str, name: str = "prompt") -> str:
    """Return a prompt.

    Raises:
        ValueError: if it is empty, or too long to be one.
    """
    if not isinstance(prompt, str):
        raise ValueError(f"{name}: expected text, got {type(prompt).__name__}")
    if not prompt.strip():
        raise ValueError(f"{name}: expected a few words about the music, got an empty text")
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"{name}: expected at most {MAX_PROMPT} characters, got {len(prompt)}")
    return prompt


def check_prompts(prompts: str | Sequence[str]) -> list[str]:
    """Return prompts as a list; one string is one prompt.

    Raises:
        ValueError: for no prompt, one that `check_prompt` refuses, or what is no list.
    """
    if not isinstance(prompts, Iterable) or isinstance(prompts, bytes | Mapping):
        raise ValueError(f"prompts: expected a prompt or a list of prompts, got {type(prompts).__name__}")
    listed = [prompts] if isinstance(prompts, str) else list(prompts)
    if not listed:
        raise ValueError("prompts: expected at least one")
    if len(listed) == 1:
        return [check_prompt(listed[0])]
    return [check_prompt(prompt, f"prompt {number} of {len(listed)}") for number, prompt in enumerate(listed, 1)]


def check_seeds(seeds: int | Sequence[int]) -> list[int]:
    """Return seeds as a list; one integer is one seed.

    Raises:
        ValueError: for no seed, or one that is not an integer from 0 to 2⁶³ - 1.
    """
    several = isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes | Mapping) and getattr(seeds, "ndim", 1)
    listed: list[Any] = list(seeds) if several else [seeds]  # type: ignore[arg-type]
    if not listed:
        raise ValueError("seeds: expected at least one")
    return [_check_seed(seed) for seed in listed]


def _check_seed(seed: Any) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        raise ValueError(f"seed: expected a whole number, got {seed!r}") from None
    if isinstance(seed, bool) or not 0 <= number < 2**63:
        raise ValueError(f"seed: expected a whole number from 0 to 2**63 - 1, got {seed}")
    return number


def check_seconds(seconds: float | None, longest: float) -> float:
    """Return a length, the longest by default.

    Raises:
        ValueError: if it is not above 0 and at most the longest.
    """
    if seconds is None:
        return longest
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not number or not 0 < seconds <= longest:
        raise ValueError(f"seconds: expected above 0 and at most {longest:.2f}, the model's longest, got {seconds}")
    return float(seconds)


def make_items(prompts: str | Sequence[str], seeds: int | Sequence[int]) -> list[Item]:
    """Every prompt with every seed, prompt by prompt; checked."""
    return [Item(prompt, seed) for prompt, seed in itertools.product(check_prompts(prompts), check_seeds(seeds))]


def one_each(name: str, given: list[T], count: int) -> list[T]:
    """One thing for each of ``count`` embeddings, where one was given for all.

    Raises:
        ValueError: for another number of things.
    """
    if len(given) not in (1, count):
        raise ValueError(f"{name}: expected {count}, one for each embedding, or one for all, got {len(given)}")
    return given * count if len(given) == 1 else given
