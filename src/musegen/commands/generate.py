"""Make music from text: WAV, FLAC or OGG files, each with a JSON that tells how to make it again."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Literal

# The types of this file are the standard library's, so that its --help need not import torch.


def generate(
    prompt: list[str],
    prompts: Path | None = None,
    samples: int = 1,
    seed: int = 0,
    out: Path = Path("out"),
    seconds: float | None = None,
    steps: int | None = None,
    guidance: float | str | None = None,
    sampler: str | None = None,
    negative: str | None = None,
    start: Path | None = None,
    strength: float | None = None,
    stage1_steps: int | None = None,
    stage1_guidance: float | str | None = None,
    stage1_sampler: str | None = None,
    format: Literal["wav", "flac", "ogg"] = "wav",
    bits: Literal[16, 24, 32] = 16,
    model: str | None = None,
    device: str = "auto",
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    lane: int | Literal["auto"] | None = None,
    execution: str | None = None,
    decoder: str | None = None,
    trust_plugins: list[str] | str | None = None,
    again: Path | None = None,
) -> list[Path]:
    """Make music from text.

    Args:
        prompt: one or more sentences, each in quotes.
        prompts: a text file with one prompt a line, or JSON Lines with caption and perhaps seed, of its first clip.
        samples: clips of each prompt.
        seed: seed of a prompt's first clip, where no file names another; the others have the numbers after it.
        out: folder for the files; made if missing.
        seconds: length of a clip; by default the longest that the model makes.
        steps: steps of stage 2 (embedding to music).
        guidance: how closely stage 2 follows the embedding, a scale; or the name of a guidance.
        sampler: of stage 2: a name such as heun or dpmpp_2m, a class path, or a recipe in JSON.
        negative: a prompt to move away from.
        start: an audio file to begin with in place of noise.
        strength: how much of it is made anew, between 0 and 1; by default 0.7.
        stage1_steps: steps of stage 1 (text to embedding).
        stage1_guidance: how closely stage 1 follows the text.
        stage1_sampler: of stage 1.
        format: wav, flac or ogg.
        bits: a sample, 16 or 24; 32 for a WAV of floats.
        model: folder of a pipeline, or the name of one that ships with the package.
        device: auto, cpu, cuda, cuda:1 …
        dtype: what the networks compute in; by default bfloat16 on a GPU, float32 on a CPU.
        lane: items that a network takes in one execution; auto for the fastest width, whose results agree within a
            tolerance instead of bit for bit.
        execution: how the networks are run: auto, eager, graph, compiled, compiled_whole, or a recipe in JSON. auto is
            graph on a CUDA GPU (the bits of eager, in fewer launches) and eager elsewhere; with --lane auto, compiled
            from ten clips of the largest model on.
        decoder: how latents become sound: auto, plain, fast, snakes or kernels, perhaps with graph or compiled behind
            it ("fast compiled"). auto is "snakes graph" on a CUDA GPU in half precision and plain elsewhere.
        trust_plugins: packages, besides musegen, whose classes a model folder or an option may name. Their code runs.
        again: the JSON beside a clip: make that clip again, and say what is different if its bits are.

    Returns:
        The audio files, which are also printed.
    """
    from musegen.audio import check_format
    from musegen.data.prompt_file import read_prompts
    from musegen.files import prepare_folder
    from musegen.generation.names import ClipNames
    from musegen.generation.writing import ClipWriter
    from musegen.pipeline import TextToMusic

    check_format(format, bits)
    trust = [trust_plugins] if isinstance(trust_plugins, str) else trust_plugins or []
    if again is not None:
        if prompt or prompts:
            raise ValueError("--again makes one clip from its JSON: expected no prompts beside it")
        _refuse_beside_again(
            samples=samples - 1,
            seed=seed,
            seconds=seconds,
            steps=steps,
            guidance=guidance,
            sampler=sampler,
            negative=negative,
            start=start,
            strength=strength,
            stage1_steps=stage1_steps,
            stage1_guidance=stage1_guidance,
            stage1_sampler=stage1_sampler,
        )
        return [_again(again, out, format, bits, model, device, dtype, lane, trust, execution, decoder)]
    asked = [(text, seed) for text in prompt]
    asked += (
        [(each.caption, seed if each.seed is None else each.seed) for each in read_prompts(prompts)] if prompts else []
    )
    if not asked:
        raise ValueError("expected a prompt, such as musegen generate 'a slow sad piano ballad', or --prompts FILE")
    if samples < 1:
        raise ValueError(f"samples: expected at least 1, got {samples}")
    together: dict[int, list[str]] = {}  # prompts by the seed that they begin with
    for text, first in dict.fromkeys(asked):
        together.setdefault(first, []).append(text)
    pipeline = TextToMusic.load(model, device, dtype, lane, trust, execution or "auto", decoder or "auto")
    with _progress_bar() as progress:
        streams = [
            pipeline.stream(
                texts,
                range(first, first + samples),
                progress,
                seconds=seconds,
                steps=steps,
                guidance=guidance,
                sampler=sampler,
                negative=negative,
                start=start,
                strength=strength,
                stage1_steps=stage1_steps,
                stage1_guidance=stage1_guidance,
                stage1_sampler=stage1_sampler,
            )
            for first, texts in together.items()
        ]
        prepare_folder(out)
        names = ClipNames(out, format)
        with ClipWriter(bits=bits, written=_say) as writer:
            for clip in chain.from_iterable(streams):
                writer.save(clip, names.name(clip.request()))
        return writer.paths


def _refuse_beside_again(**chosen: object) -> None:
    """Refuse options that would make another clip than the JSON describes."""
    if taken := [f"--{name}" for name, value in chosen.items() if value not in (None, 0)]:
        raise ValueError(f"--again makes the clip that its JSON describes: expected no {' or '.join(taken)} beside it")


def _again(
    described: Path,
    out: Path,
    format: str,
    bits: int,
    model: str | None,
    device: str,
    dtype: str | None,
    lane: int | str | None,
    trust: list[str],
    execution: str | None,
    decoder: str | None,
) -> Path:
    """Make a clip again as its JSON says, where nothing else is chosen; exit status 1 if its bits differ."""
    from musegen.files import prepare_folder
    from musegen.fingerprint import compare, hash_tensor
    from musegen.generation.clip import read_clip
    from musegen.generation.names import ClipNames
    from musegen.pipeline import TextToMusic

    then = read_clip(described)
    with _progress_bar() as progress:
        pipeline = TextToMusic.load_like(then, model, device, dtype, lane, trust, execution, decoder)
        clip = pipeline.remake(then, progress)
        prepare_folder(out)
        path = clip.save(ClipNames(out, format, replace=False).name(clip.request()), bits=bits)
        _say(path)
    different = compare(then["fingerprint"], clip.fingerprint)
    for name, (before, now) in different.items():
        print(f"{name}: {before} then, {now} now", file=sys.stderr)
    if hash_tensor(clip.audio) == then["audio_sha256"]:
        print("the same bits", file=sys.stderr)
        return path
    reason = f"see {', '.join(different)}" if different else "though nothing in the fingerprint does"
    print(f"the bits differ, {reason}", file=sys.stderr)
    raise SystemExit(1)


def _say(path: Path) -> None:
    """Print where a clip was written, at once: what is printed is kept, whatever happens next."""
    print(path, flush=True)


@contextmanager
def _progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error, if that is a terminal, for each of the things that are made; warnings as plain lines."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    def show(message: object, *_: object, **__: object) -> None:
        print(f"musegen: {message}", file=sys.stderr)

    console = Console(stderr=True)
    bars = Bars(console=console, transient=True, redirect_stdout=sys.stdout.isatty(), disable=not console.is_terminal)
    with warnings.catch_warnings(), bars:
        warnings.showwarning = show
        known: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in known:
                known[name] = bars.add_task(name, total=total)
            bars.update(known[name], completed=done, total=total)

        yield tell
