"""What users may wish for, checked: prompts, seeds, numbers of variations, and how clips are sampled."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from musegen.app.work.workshop import Workshop
from musegen.audio import read_audio
from musegen.flow.samplers.base import Sampler
from musegen.flow.settings import SAMPLERS
from musegen.generation.plan import MAX_PROMPT
from musegen.plugins import names

MAX_VARIATIONS = 16
MAX_STEPS = 250
SEEDS = 2**31
"""Random seeds are under this, so that they are easily read and typed."""


@dataclass(frozen=True, eq=False)
class Style:
    """How clips are sampled; None is the model's own choice.

    Args:
        seconds: length.
        text_guidance: how closely the embedding follows the text.
        guidance: how closely the music follows the embedding.
        steps: of the music's sampler.
        text_steps: of the embedding's sampler.
        sampler: of the music.
        negative: what to move away from; empty for nothing.
        start: a clip of the library to begin with; empty for noise.
        strength: how much of that is made anew.
    """

    seconds: float | None = None
    text_guidance: float | None = None
    guidance: float | None = None
    steps: int | None = None
    text_steps: int | None = None
    sampler: str | None = None
    negative: str = ""
    start: str = ""
    strength: float = 0.7

    def stage2(self, workshop: Workshop) -> dict[str, Any]:
        """Options of the second stage.

        Raises:
            ValueError: for one that is out of range.
        """
        steps = None if self.steps is None else round(self.steps)
        if steps is not None and not 1 <= steps <= MAX_STEPS:
            raise ValueError(f"steps: expected 1 to {MAX_STEPS}, got {steps}")
        if self.sampler is not None and self.sampler not in names(Sampler, SAMPLERS):
            raise ValueError(f"sampler: expected one of the list, got {self.sampler[:40]!r}")
        options = {"seconds": self.seconds, "guidance": self.guidance, "steps": steps, "sampler": self.sampler}
        if not self.start:
            return options
        vae = workshop.pipeline.chain.vae
        audio, _ = read_audio(workshop.library.audio_path(self.start), vae.sample_rate, vae.audio_channels)
        # encoded once, not once for each clip
        plan = workshop.pipeline.plan(seconds=self.seconds, start=audio, strength=self.strength)
        return options | {"start": plan.start}

    def stage1(self) -> dict[str, Any]:
        """Options of the first stage.

        Raises:
            ValueError: for one that is out of range.
        """
        if self.text_steps is not None and not 1 <= self.text_steps <= MAX_STEPS:
            raise ValueError(f"text steps: expected 1 to {MAX_STEPS}, got {self.text_steps}")
        steps = None if self.text_steps is None else round(self.text_steps)
        negative = self.negative.strip() or None
        return {"negative": negative, "stage1_guidance": self.text_guidance, "stage1_steps": steps}


def choose_seeds(how: str, fixed: float | str | None, last: Sequence[int] | None, count: int) -> list[int]:
    """Seeds of the next clips.

    Args:
        how: ``fixed`` for ``fixed`` and the numbers after it, ``random``, or ``same again`` for the last ones.
        fixed: the first of them.
        last: seeds of the last request.
        count: how many.

    Raises:
        ValueError: for a number that is no seed, or another way to choose.
    """
    count = check_count(count)
    if how == "random":
        return [secrets.randbelow(SEEDS) for _ in range(count)]
    if how == "same again" and last:
        first = list(last)[:count]
        return first + [secrets.randbelow(SEEDS) for _ in range(count - len(first))]
    if how not in ("fixed", "same again"):
        raise ValueError(f"seed: expected fixed, random or same again, got {how!r}")
    try:
        number = int(fixed or 0)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"seed: expected a whole number, got {str(fixed)[:40]!r}") from None
    if not 0 <= number < 2**63 - MAX_VARIATIONS:
        raise ValueError(f"seed: expected a whole number from 0 to 2**63 - {MAX_VARIATIONS + 1}, got {number}")
    return list(range(number, number + count))


def check_count(count: float) -> int:
    """Return a number of variations.

    Raises:
        ValueError: if it is not from 1 to 16.
    """
    if not 1 <= count <= MAX_VARIATIONS:
        raise ValueError(f"variations: expected 1 to {MAX_VARIATIONS}, got {count}")
    return int(count)


def check_prompt(prompt: str) -> str:
    """Return a prompt.

    Raises:
        ValueError: in a sentence, if it is empty or too long.
    """
    if not prompt or not prompt.strip():
        raise ValueError("Say what the music should be like, in a few words, or drop an audio file.")
    if len(prompt) > MAX_PROMPT:
        raise ValueError(f"prompt: expected at most {MAX_PROMPT} characters, got {len(prompt)}")
    return prompt.strip()
