"""Making clips: what a user wishes for, checked, made one by one in turn with others, and put into the library."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from musegen.app.store.record import Lineage, Record, shortened
from musegen.app.work.geometry import around, between
from musegen.app.work.job import Job
from musegen.app.work.uploads import Upload
from musegen.app.work.wishes import Style, check_prompt
from musegen.app.work.workshop import Workshop
from musegen.checkpoints import read_json
from musegen.generation.clip import Clip


def of_text(workshop: Workshop, prompt: str, seeds: Sequence[int], style: Style, job: Job) -> Iterator[Record]:
    """Make a clip of a prompt with every seed; each is yielded as it is finished, and is a take of the library by then.

    Raises:
        ValueError: for what a user can get wrong.
        CancelledError: if the job was cancelled; what was finished stays.
    """
    prompt = check_prompt(prompt)
    options = style.stage1() | style.stage2(workshop)
    workshop.pipeline.plan(**options)
    asked = workshop.reference(prompt, job)
    clips = workshop.pipeline.stream(prompt, list(seeds), job.told_all, **options)
    lineage = [_lineage(style, Lineage())] * len(seeds)
    yield from _kept(workshop, clips, lineage, asked, job)


def of_embeddings(
    workshop: Workshop,
    embeddings: Tensor,
    prompts: Sequence[str],
    seeds: Sequence[int],
    lineage: Sequence[Lineage],
    style: Style,
    job: Job,
    asked: Tensor | None = None,
    titles: Sequence[str] | None = None,
) -> Iterator[Record]:
    """Make a clip of every embedding ``[clips, dim]``; see `of_text`.

    Args:
        workshop: to work in.
        embeddings: unit vectors.
        prompts: what each is about; may be empty.
        seeds: of each.
        lineage: of each.
        style: how.
        job: for progress and cancelling.
        asked: what they are compared with; None for each one's own embedding.
        titles: of each; by default their prompts.
    """
    options = style.stage2(workshop)
    workshop.pipeline.plan(**options)

    def clips() -> Iterator[Clip]:
        for embedding, prompt, seed in zip(embeddings, prompts, seeds, strict=True):
            yield from workshop.pipeline.render(embedding[None], seed, prompt or None, job.told, **options)

    target = asked if asked is not None else (embeddings if workshop.ears.fits else None)
    yield from _kept(workshop, clips(), [_lineage(style, each) for each in lineage], target, job, titles)


def of_sound(
    workshop: Workshop, upload: Upload, prompt: str, mix: float, seeds: Sequence[int], style: Style, job: Job
) -> Iterator[Record]:
    """Make clips of what is heard in a file, or between that and a prompt.

    Args:
        workshop: to work in.
        upload: the file.
        prompt: may be empty where ``mix`` is 1.
        mix: 0 for the prompt alone, 1 for the file alone.
        seeds: of each clip.
        style: how.
        job: for progress and cancelling.
    """
    if not workshop.ears.fits:
        raise ValueError("this model does not say which embedder it was trained on; start the app with --embedder")
    heard = workshop.ears.listen(upload.audio, upload.rate)
    prompt = prompt.strip() if mix < 1 else ""  # words that say nothing here are not told of
    if not prompt:
        embeddings, detail = heard.expand(len(seeds), -1), f"from the sound of “{upload.name}”"
    else:
        style.stage2(workshop)
        with workshop.turns.take(job.user):
            said = workshop.pipeline.embed(check_prompt(prompt), list(seeds), job.told, **style.stage1())
        embeddings = between(said, heard, float(mix))
        detail = f"{mix:.0%} from the sound of “{upload.name}”, the rest from the prompt"
    lineage = [Lineage("from a sound", (), detail)] * len(seeds)
    titles = None if prompt else [shortened(f"like {upload.name}")] * len(seeds)
    yield from of_embeddings(workshop, embeddings, [prompt] * len(seeds), seeds, lineage, style, job, titles=titles)


def like(
    workshop: Workshop, parent: str, seeds: Sequence[int], spread: float, style: Style, job: Job
) -> Iterator[Record]:
    """Make variations around the embedding of a clip.

    Args:
        workshop: to work in.
        parent: id of the clip.
        seeds: of each variation.
        spread: how far away, as a part of a right angle, 0 to 1.
        style: how.
        job: for progress and cancelling.
    """
    if not 0 <= spread <= 1:
        raise ValueError(f"spread: expected 0 to 1, got {spread}")
    record, centre = workshop.library.get(parent), workshop.embedding(parent)
    embeddings = around(centre, list(seeds), spread)
    lineage = [Lineage("more like this", (parent,), f"{90 * spread:.0f}° from “{record.title}”")] * len(seeds)
    yield from of_embeddings(
        workshop,
        embeddings,
        [record.prompt] * len(seeds),
        seeds,
        lineage,
        style,
        job,
        centre,
        [record.title] * len(seeds),
    )


def _kept(
    workshop: Workshop,
    clips: Iterator[Clip],
    lineage: Sequence[Lineage],
    asked: Tensor | None,
    job: Job,
    titles: Sequence[str] | None = None,
) -> Iterator[Record]:
    """Take turns at the model, clip by clip, and put each into the library."""
    job.total = len(lineage)
    for number, where in enumerate(lineage):
        job.check()
        with workshop.turns.take(job.user):
            job.check()
            clip = next(clips)
        target = asked[number] if asked is not None and asked.ndim == 2 else asked
        heard = workshop.hear(clip.audio, clip.sample_rate, clip.embedding, target)
        title = "" if titles is None else titles[number]
        record = workshop.library.add(_writer(clip), heard, title=title, lineage=where)
        job.done, job.share = number + 1, (number + 1) / job.total
        yield record


def _writer(clip: Clip) -> Callable[[Path], Mapping[str, Any]]:
    def write(path: Path) -> Mapping[str, Any]:
        return read_json(clip.save(path).with_suffix(".json"))

    return write


def _lineage(style: Style, lineage: Lineage) -> Lineage:
    if not style.start:
        return lineage
    detail = f"{style.strength:.0%} made anew from another clip"
    return Lineage(
        lineage.relation or "began with a clip",
        (*lineage.parents, style.start),
        f"{lineage.detail}; {detail}" if lineage.detail else detail,
    )
