"""Both stages of a pipeline sampled one way and another from the same noise, and how far apart they end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from musegen.flow.execution.base import Evaluate, Execution, Step
from musegen.flow.execution.choice import Prepared
from musegen.flow.guidance.base import Guidance
from musegen.flow.guidance.interval import Interval
from musegen.flow.settings import SamplingSettings
from musegen.generation.plan import make_items
from musegen.models.reconstruction_loss import scale_invariant_sdr
from musegen.pipeline import TextToMusic

STAGES = {"stage1": "text2muq", "stage2": "stable_audio_muq"}
WHOLE = "whole"


class Counting(Execution):
    """Counts how often a network is asked, as the inner execution runs it.

    Args:
        inner: what runs it, prepared.
    """

    def __init__(self, inner: Execution) -> None:
        super().__init__(inner.skip_null)
        self.inner = inner
        self.counts: dict[str, int] = {}

    def prepare(self, network: Any) -> None:
        """The inner one is prepared."""

    def begin(self, evaluate: Evaluate, prepared: Any, kind: str) -> Step:
        """As the inner execution does."""
        step = self.inner.begin(evaluate, prepared, kind)

        def counted(x: Tensor, times: Tensor) -> Tensor:
            self.counts[kind] = self.counts.get(kind, 0) + 1
            return step(x, times)

        return counted


@dataclass(frozen=True)
class Run:
    """What one way of sampling ends with.

    Args:
        end: unit vectors ``[items, dim]``, or latents ``[items, channels, frames]``.
        evaluations: of the network for one item; one for both halves of guidance.
        passes: of one item through the network: guided evaluations count twice.
    """

    end: Tensor
    evaluations: float
    passes: float


class Bench:
    """A pipeline whose stages are sampled in many ways, always from the noise of the same seeds.

    Args:
        pipeline: it counts from now on what its networks are asked.
        prompts: one item each, with the seeds 0, 1, 2 …
    """

    def __init__(self, pipeline: TextToMusic, prompts: Sequence[str]) -> None:
        self.pipeline, self.chain = pipeline, pipeline.chain
        self.items = [item for seed, prompt in enumerate(prompts) for item in make_items(prompt, seed)]
        self.counting: dict[str, Counting] = {}
        for stage, part in STAGES.items():
            place = getattr(self.chain, part)
            self.counting[stage] = Counting(place.prepared.execution)
            place.prepared = Prepared(self.counting[stage], place.prepared.arithmetic)
        self._told: Tensor | None = None

    def own(self, stage: str) -> SamplingSettings:
        """How the pipeline samples a stage by itself."""
        return getattr(self.chain, STAGES[stage]).defaults

    def run(self, stage: str, settings: SamplingSettings) -> Run:
        """Sample every item. Stage 2 is told the embeddings of stage 1 as the pipeline samples them by itself."""
        told = None if stage == "stage1" else self._embeddings()
        counts = self.counting[stage].counts
        counts.clear()
        own = self.own(stage)
        getattr(self.chain, STAGES[stage]).defaults = settings
        try:
            plan = self.pipeline.plan()
            if told is None:
                end = self.chain.embeddings(self.items, plan, None)
            else:
                end = self.chain.latents(self.items, told, plan)
        finally:
            getattr(self.chain, STAGES[stage]).defaults = own
        lanes = self._lanes(stage)
        guided, plain = (counts.get(kind, 0) / lanes for kind in ("guided", "plain"))
        return Run(end, guided + plain, 2 * guided + plain)

    def sound_error(self, latents: Tensor, expected: Tensor) -> float:
        """How near decoded latents are to others, decoded: the mean SI-SDR in dB."""
        return float(scale_invariant_sdr(*map(self.pipeline.decode, (latents, expected))).mean())

    def _embeddings(self) -> Tensor:
        if self._told is None:
            self._told = self.chain.embeddings(self.items, self.pipeline.plan(), None)
        return self._told

    def _lanes(self, stage: str) -> int:
        width = getattr(self.chain, STAGES[stage]).width
        return -(-len(self.items) // width) if isinstance(width, int) else 1


def within(guidance: Guidance, interval: str) -> Guidance:
    """A guidance inside an interval of flow times, ``0.2-0.8``; the guidance itself for ``whole``.

    Raises:
        ValueError: for no such interval.
    """
    if interval == WHOLE:
        return guidance
    found = re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", interval)
    if found is None or not 0 <= float(found[1]) < float(found[2]) <= 1:
        raise ValueError(f"intervals: expected whole, or two flow times such as 0.2-0.8, got {interval!r}")
    return Interval(guidance, float(found[1]), float(found[2]))
