"""Judge music: how well it follows its captions, how near it is to real music, what a codec loses."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musegen.metrics.embedders.base import AudioEmbedder
    from musegen.metrics.evaluation import Evaluation

# The types of this file are the standard library's, so that its --help need not import torch.


def evaluate(
    folders: list[str],
    reference: Path | None = None,
    truth: Path | None = None,
    train: Path | None = None,
    embedder: str | None = None,
    joint: str | None = None,
    metrics: str | None = None,
    seconds: float | None = None,
    limit: int | None = None,
    out: Path = Path("evaluation"),
    codec: str | None = None,
    audio: Path | None = None,
    keep: Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    cache: str | None = "auto",
    trust_plugins: list[str] | str | None = None,
) -> Path:
    """Judge music, and print for every judge what it says of ours, of real music, and by chance.

    Args:
        folders: what musegen generate wrote, or folders of shards with audio, or of audio files; several are compared.
        reference: real music to be like: shards with audio, or audio files.
        truth: real music with facts that no model has seen: what the judges can say at best. By default the reference.
        train: the music that the model learned from, to find copies.
        embedder: musicnn, clap, mert, passt, a class path, or a recipe in JSON; several parted by commas: what Fréchet
            distance, diversity and nearest training music are measured by. By default musicnn.
        joint: an embedder of music and text for similarity and retrieval (rendered_judge, clap, muq_mulan, a class
            path, a recipe in JSON), trained apart from the model's own. By default rendered_judge, which is shipped.
        metrics: only these, parted by commas: tempo, key, fitted_instruments, fitted_genre, tags, similarity, frechet,
            diversity, neighbours, loudness, clipping, silence; and notes, instruments and genre (the latter two by
            musicnn's own tags, for recordings), which are not asked otherwise.
        seconds: of every clip no more than its first are heard; by default the length of the longest clip judged.
        limit: take no more than so many clips of each folder, spread evenly.
        out: folder for evaluation.json, evaluation.md and the plots.
        codec: instead, judge a codec: the folder of an Oobleck VAE, or of a pipeline. Needs --audio.
        audio: the music that the codec is to give back.
        keep: folder for what it gave back, to be judged like clips.
        device: auto, cpu, cuda, cuda:1 …
        workers: threads that hear clips; by default one for each processor, eight at most.
        cache: folder for what was heard, so that it need not be heard again; null for none.
        trust_plugins: packages, besides musegen, whose classes an option may name. Their code runs.

    Returns:
        The file with all figures, which is also printed.
    """
    from musegen.devices import choose_device
    from musegen.metrics.evaluation import evaluate_folders
    from musegen.metrics.listening import default_cache

    place, trust = choose_device(device), _words(trust_plugins)
    if codec is not None or audio is not None:
        if codec is None or audio is None or folders:
            raise ValueError("expected --codec MODEL --audio DIR together, without other folders")
        return _judge_codec(codec, audio, seconds, limit, out, keep, place, trust)
    if keep is not None:
        raise ValueError("--keep: expected together with --codec MODEL --audio DIR")
    if not folders:
        raise ValueError("expected a folder of music, such as musegen evaluate out --reference real")
    with _progress() as progress:
        found = evaluate_folders(
            folders,
            _chosen(_words(metrics), _words(embedder), joint, trust),
            reference=reference,
            truth=truth,
            training=train,
            seconds=seconds,
            limit=limit,
            device=place,
            cache=default_cache() if cache == "auto" else None if cache is None else Path(cache),
            workers=workers,
            progress=progress,
        )
    print(found[0].account, file=sys.stderr)
    return _report(found, out)


def _report(found: list[Evaluation], out: Path) -> Path:
    from musegen.files import write_whole
    from musegen.metrics.plots import plot
    from musegen.metrics.report import markdown, print_table, write_json

    print_table(found)
    write_json(found, out / "evaluation.json")
    write_whole({out / "evaluation.md": markdown(found).encode()})
    try:
        plot(found, out)
    except ImportError as error:
        print(f"musegen: no plots: {error}", file=sys.stderr)
    print(out / "evaluation.json")
    return out / "evaluation.json"


def _chosen(names: Sequence[str], embedders: Sequence[str], joint: str | None, trust: Sequence[str]) -> list[Any]:
    """The metrics that are asked for, or all."""
    from musegen.metrics.evaluation import standard_metrics
    from musegen.plugins import choose

    def file(metric: object) -> str:
        return type(metric).__module__.rpartition(".")[2]

    compared = [_embedder(one, trust) for one in embedders] or [None]
    known = standard_metrics(compared, None if joint is None else _embedder(joint, trust))
    if not names:
        return known
    chosen = []
    for name in names:
        mine = [metric for metric in known if file(metric) == name]
        if not mine:
            from musegen.metrics.base import Metric

            mine = [choose(name, Metric, "musegen.metrics", trust)]
        chosen += mine
    return chosen


def _embedder(choice: str, trust: Sequence[str]) -> AudioEmbedder:
    """A judge's embedder, of either room."""
    from musegen.conditioning.base import Embedder
    from musegen.metrics.embedders.base import AudioEmbedder
    from musegen.metrics.embedders.joint import FromConditioning
    from musegen.plugins import choose, names

    ours = names(AudioEmbedder, "musegen.metrics.embedders")
    if choice in ours or "metrics.embedders" in choice:
        return choose(choice, AudioEmbedder, "musegen.metrics.embedders", trust)
    if choice.isidentifier() and choice not in names(Embedder, "musegen.conditioning"):
        known = sorted({*ours, *names(Embedder, "musegen.conditioning")} - {"joint"})
        raise ValueError(f"unknown embedder {choice!r}; expected one of {', '.join(known)}")
    try:
        return choose(choice, AudioEmbedder, "musegen.metrics.embedders", trust)
    except ValueError:
        return FromConditioning(choose(choice, Embedder, "musegen.conditioning", trust))


def _judge_codec(
    codec: str,
    audio: Path,
    seconds: float | None,
    limit: int | None,
    out: Path,
    kept: Path | None,
    device: Any,
    trust: Sequence[str],
) -> Path:
    from musegen.checkpoints import load_model
    from musegen.generation.folder import find_pipeline, is_pipeline, shipped
    from musegen.metrics.codec import judge_codec, keep
    from musegen.metrics.music import read_music
    from musegen.metrics.report import print_codec, write_codec
    from musegen.models.oobleck import OobleckAutoencoder

    whole = codec in shipped() or is_pipeline(Path(codec))
    folder = find_pipeline(codec) / "vae" if whole else Path(codec)
    model = load_model(folder, OobleckAutoencoder, trust).to(device).eval().fold_weight_norm()
    pieces = read_music(audio, limit)
    with _progress() as progress:
        figures = judge_codec(
            model,
            pieces,
            seconds,
            lambda done, total: progress(f"{audio}", done, total),
            None if kept is None else lambda piece, heard: keep(piece, heard, model.sample_rate, kept) and None,
        )
    print_codec(figures)
    write_codec(codec, str(audio), seconds, figures, out / "codec.json")
    print(out / "codec.json")
    return out / "codec.json"


def _words(choice: list[str] | str | None) -> list[str]:
    """One word or several as a list: commas part them, outside JSON."""
    words = [] if choice is None else [choice] if isinstance(choice, str) else choice
    return [part.strip() for word in words for part in ([word] if "{" in word else word.split(",")) if part.strip()]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error for each folder, if that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("hearing {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        known: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in known:
                known[name] = bars.add_task(name, total=total)
            bars.update(known[name], completed=done)

        yield tell
