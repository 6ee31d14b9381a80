"""How a stage is sampled: sampler, steps and guidance, chosen by a pipeline and overridden by a user."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from musegen.checkpoints import build
from musegen.flow.guidance.base import Guidance
from musegen.flow.guidance.classifier_free import ClassifierFree
from musegen.flow.samplers.base import Sampler
from musegen.plugins import choose

SAMPLERS = "musegen.flow.samplers"
GUIDANCE = "musegen.flow.guidance"
MAX_STEPS = 10_000

SamplerChoice = Sampler | Mapping[str, Any] | str
GuidanceChoice = Guidance | Mapping[str, Any] | str | float


@dataclass(frozen=True)
class SamplingSettings:
    """How a stage is sampled.

    Args:
        sampler: the method.
        steps: of the sampler; what a step costs is the sampler's business.
        guidance: how strongly samples follow their condition.
    """

    sampler: Sampler
    steps: int
    guidance: Guidance

    def override(
        self,
        sampler: SamplerChoice | None = None,
        steps: int | None = None,
        guidance: GuidanceChoice | None = None,
        trust: Sequence[str] = (),
    ) -> SamplingSettings:
        """Replace what is not None.

        Args:
            sampler: short name (``heun``), class path, recipe, or the sampler.
            steps: at least 1.
            guidance: a number, the scale of the guidance that is there; or a short name, class path, recipe, or the
                guidance.
            trust: packages besides musegen whose classes may be built.

        Raises:
            ValueError: for an unknown name or a number out of range.
        """
        chosen = self.sampler if sampler is None else choose(sampler, Sampler, SAMPLERS, trust)
        steps = self.steps if steps is None else steps
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
            raise ValueError(f"steps: expected a whole number from 1 to {MAX_STEPS}, got {steps!r}")
        return SamplingSettings(chosen, steps, self._guidance(guidance, trust))

    def _guidance(self, choice: GuidanceChoice | None, trust: Sequence[str]) -> Guidance:
        if choice is None:
            return self.guidance
        if not isinstance(choice, int | float):
            return choose(choice, Guidance, GUIDANCE, trust)
        if not 0 <= choice < float("inf"):
            raise ValueError(f"guidance: expected a scale of 0 or more, got {choice}")
        return build(rescaled(self.guidance.config, float(choice)), Guidance, trust, "guidance")

    def recipe(self) -> dict[str, Any]:
        """What a file says of these settings: JSON-able, and `from_recipe`'s input."""
        return {"sampler": self.sampler.config, "steps": self.steps, "guidance": self.guidance.config}

    @staticmethod
    def from_recipe(recipe: Mapping[str, Any], trust: Sequence[str] = ()) -> SamplingSettings:
        """Build from ``{"sampler": …, "steps": …, "guidance": …}``.

        Sampler and guidance may be short names; a number as guidance is the scale of plain guidance.

        Raises:
            ValueError: if one of them is missing or unknown.
        """
        lacking = {"sampler", "steps", "guidance"} - set(recipe)
        if lacking:
            raise ValueError(f"expected sampler, steps and guidance, got no {' and no '.join(sorted(lacking))}")
        sampler = choose(recipe["sampler"], Sampler, SAMPLERS, trust)
        plain = SamplingSettings(sampler, 1, ClassifierFree())
        return plain.override(steps=recipe["steps"], guidance=recipe["guidance"], trust=trust)


def rescaled(config: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """The recipe of the same guidance at another scale, also where one guidance wraps another.

    Raises:
        ValueError: if the guidance has no scale.
    """
    changed = copy.deepcopy(dict(config))
    inner = changed
    while "scale" not in inner["init_args"]:
        wrapped = [value for value in inner["init_args"].values() if isinstance(value, dict) and "class_path" in value]
        if not wrapped:
            raise ValueError(f"guidance: {config['class_path']} has no scale to set")
        inner = wrapped[0]
    inner["init_args"]["scale"] = scale
    return changed
