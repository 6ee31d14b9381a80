"""Clips from the captions of held-out songs, for evaluation: by the two stages, by the baseline, or from text at once.

Start it again to go on: a clip that is there is left, so that a run may be stopped at any time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from musegen.arguments import call
from musegen.checkpoints import load_model
from musegen.data.random_access import ShardFolder
from musegen.flow.model import FlowModel
from musegen.generation.baseline import Baseline
from musegen.generation.clip import Clip
from musegen.generation.folder import REGRESSION, find_pipeline, read_pipeline
from musegen.generation.plan import Item, Plan
from musegen.mistakes import explain, is_mistake
from musegen.models.oobleck import OobleckAutoencoder
from musegen.pipeline import TextToMusic

T = TypeVar("T")

GROUP = 16
"""Clips that are made together, and written before the next ones are begun."""


def sample_songs(
    songs: Path,
    out: Path,
    model: str | None = None,
    captions: int | None = None,
    only: int | None = None,
    seeds: int = 1,
    seconds: float | None = None,
    baseline: bool = False,
    one_stage: Path | None = None,
    part: int = 0,
    parts: int = 1,
    device: str = "auto",
) -> None:
    """Make clips of a model from the first caption of each song.

    Args:
        songs: folder of shards, of which only captions are read.
        out: folder of the clips, each named after its song and seed.
        model: folder of a pipeline, or the name of a shipped one.
        captions: take no more than so many, spread evenly over the songs.
        only: of these again no more than so many, spread evenly: some captions of a run with more.
        seeds: clips of each caption.
        seconds: length of a clip, or the model's longest where that is less.
        baseline: put the regression's answer in the place of stage 1's sample; the pipeline has a part "regression".
        one_stage: model folder of a transformer that reads the caption itself, in the place of both stages.
        part: number of this process, from 0, among several that share the work.
        parts: how many they are.
        device: auto, cpu, cuda …
    """
    if not 0 <= part < parts:
        raise ValueError(f"part: expected a number from 0 to parts - 1 = {parts - 1}, got {part}")
    every = [
        (Item(caption, seed), out / f"{key}_{seed}.flac")
        for key, caption in spread(spread(read_captions(songs), captions), only)
        for seed in range(seeds)
    ]
    wanted = [one for one in every[part::parts] if not (one[1].exists() and one[1].with_suffix(".json").exists())]
    if not wanted:
        print(f"{out}: all there")
        return
    pipeline = TextToMusic.load(model, device) if one_stage is None else from_text(model, one_stage, device)
    plan = pipeline.plan(seconds=min(seconds or pipeline.max_seconds, pipeline.max_seconds))
    if baseline or one_stage is not None:
        plan = replace(plan, text2muq=None)
    answer = load_baseline(model, pipeline) if baseline else None
    with progress(len(wanted)) as done:
        for start in range(0, len(wanted), GROUP):
            items, paths = zip(*wanted[start : start + GROUP], strict=True)
            for clip, path in zip(clips(pipeline, items, plan, answer), paths, strict=True):
                clip.save(path)
                done()
    print(f"{out}: {len(wanted)} clips of {plan.seconds:.2f} s")


def read_captions(songs: Path) -> list[tuple[str, str]]:
    """Key and first caption of each song with one, no caption twice."""
    folder, found = ShardFolder(songs, ["caption"]), {}
    for position in range(len(folder)):
        with folder.open(position) as sample:
            if sample.captions:
                found.setdefault(sample.captions[0], sample.key)
    if not found:
        raise ValueError(f"{songs}: expected songs with captions, got none")
    return [(key, caption) for caption, key in found.items()]


def spread(things: Sequence[T], most: int | None) -> Sequence[T]:
    """No more than so many things, spread evenly."""
    if most is None or most >= len(things):
        return things
    return [things[len(things) * number // most] for number in range(most)]


def clips(pipeline: TextToMusic, items: Sequence[Item], plan: Plan, answer: Baseline | None) -> Iterator[Clip]:
    """A clip of each item; the plan says nothing of stage 1 where there is none."""
    if answer is not None:
        embeddings = answer.answer([item.prompt for item in items])
    elif plan.text2muq is None:
        embeddings = torch.zeros(len(items), pipeline.chain.text2muq.model.network.shape[0])  # nothing reads them
    else:
        embeddings = pipeline.chain.embeddings(items, plan, None)
    return pipeline.chain.clips(items, embeddings, plan, None)


def load_baseline(model: str | None, pipeline: TextToMusic) -> Baseline:
    """The regression of a pipeline.

    Raises:
        ValueError: if it has none.
    """
    folder = find_pipeline(model)
    found = Baseline.load(folder, pipeline.chain.text2muq.model.network.shape[0], pipeline.device)
    if found is None:
        raise ValueError(f"{folder}: expected a part {REGRESSION}, got none")
    return found


def from_text(model: str | None, one_stage: Path, device: str) -> TextToMusic:
    """A pipeline whose stage 2 is another transformer, which reads the caption and no embedding.

    Raises:
        ValueError: if it reads an embedding.
    """
    folder = find_pipeline(model)
    transformer = load_model(one_stage, FlowModel)
    reads = transformer.conditioning.reads
    if "embedding" in reads or "caption" not in reads:
        raise ValueError(f"{one_stage}: expected a model that reads the caption alone, got {', '.join(reads)}")
    stage1, codec = load_model(folder / "text2muq", FlowModel), load_model(folder / "vae", OobleckAutoencoder)
    return TextToMusic(
        stage1, transformer, codec, defaults=read_pipeline(folder), device=device, name=str(one_stage.resolve())
    )


@contextmanager
def progress(total: int) -> Iterator[Any]:
    """A bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("sampling", total=total)
        yield lambda: bar.advance(task)


if __name__ == "__main__":
    try:
        call(sample_songs, sys.argv[1:], "sample_songs.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"sample_songs: {explain(error)}")
