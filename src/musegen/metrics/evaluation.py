"""Evaluating folders of music: hearing every set once, asking every metric about each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from musegen.metrics.base import Metric, MusicSet, Sets
from musegen.metrics.clipping import Clipping
from musegen.metrics.diversity import Diversity
from musegen.metrics.embedders.base import AudioEmbedder
from musegen.metrics.figures import Figure
from musegen.metrics.fitted_genre import FittedGenre
from musegen.metrics.fitted_instruments import FittedInstruments
from musegen.metrics.frechet import FrechetDistance
from musegen.metrics.key import KeyAgreement
from musegen.metrics.listening import Account, Listener, longest
from musegen.metrics.loudness import Loudness
from musegen.metrics.music import read_music
from musegen.metrics.neighbours import NearestTraining
from musegen.metrics.silence import Silence
from musegen.metrics.similarity import TextSimilarity
from musegen.metrics.tags import TagAgreement
from musegen.metrics.tempo import TempoAgreement

Progress = Callable[[str, int, int], None]
"""Told what is being heard, how many clips are done, and of how many."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of one folder.

    Args:
        folder: that was judged.
        figures: of all metrics.
        sets: what was heard, for plots.
        seconds: how much of every clip was heard; None for all.
        account: how many clips, and how fast.
    """

    folder: str
    figures: Sequence[Figure]
    sets: Sets
    seconds: float | None
    account: Account


def standard_metrics(
    embedders: Sequence[AudioEmbedder | None] = (None,), joint: AudioEmbedder | None = None
) -> list[Metric]:
    """All metrics but those that are asked for by name: notes, and musicnn's own tags for instruments and genres.

    Args:
        embedders: for the distances between clips; None for musicnn.
        joint: of music and text, for similarity and retrieval; None for the judge that ships with musegen.
    """
    compared = [kind(one) for one in embedders for kind in (FrechetDistance, Diversity, NearestTraining)]
    judges = [TempoAgreement(), KeyAgreement(), FittedInstruments(), FittedGenre(), TagAgreement()]
    return [*judges, TextSimilarity(joint), *compared, Loudness(), Clipping(), Silence()]


def evaluate_folders(
    folders: Sequence[str | Path],
    metrics: Sequence[Metric] | None = None,
    *,
    reference: str | Path | None = None,
    truth: str | Path | None = None,
    training: str | Path | None = None,
    seconds: float | None = None,
    limit: int | None = None,
    device: torch.device | None = None,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Judge folders of music, each by the same metrics and beside the same real music.

    Args:
        folders: of clips that ``musegen generate`` wrote, of shards of audio, or of audio files.
        metrics: by default `standard_metrics`.
        reference: real music to be like.
        truth: real music with facts, which no model has seen: each judge's ceiling. By default the reference.
        training: what the model has learned from.
        seconds: of every clip no more than its first are heard; by default the length of the longest clip judged, so
            that real music is no longer than ours.
        limit: take no more than so many clips of a folder, spread evenly.
        device: where networks judge.
        cache: folder for what was heard; None to keep nothing.
        workers: threads.
        progress: told how far it is.

    Returns:
        One evaluation for each folder, in order.

    Raises:
        OSError: if there is no such folder.
        ValueError: if one holds no music.
        ImportError: in one line, if a judge's package is missing.
    """
    if not folders:
        raise ValueError("expected a folder of music to judge, got none")
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected 1 or more, got {limit}")
    asked = list(standard_metrics() if metrics is None else metrics)
    pieces = {str(folder): read_music(folder, limit) for folder in map(str, folders)}
    real = {"truth": truth, "reference": reference, "training": training}
    others = {name: read_music(folder, limit) for name, folder in real.items() if folder is not None}
    if seconds is None and others:
        seconds = max(longest(some) for some in pieces.values())
    listener = Listener(asked, cache, seconds, workers)
    for feature in listener.features.values():
        if isinstance(feature, AudioEmbedder):
            feature.device = device or feature.device
    with one_thread_each(listener.workers):
        beside = {name: listener.hear(str(real[name]), some, progress) for name, some in others.items()}
        if "truth" in beside and reference is not None and Path(str(truth)).resolve() == Path(reference).resolve():
            beside["truth"] = beside["reference"]  # so that a metric can tell
        ours = [listener.hear(folder, some, progress) for folder, some in pieces.items()]
    return [_judge(one, beside, asked, listener) for one in ours]


def _judge(ours: MusicSet, beside: Mapping[str, MusicSet], metrics: Sequence[Metric], listener: Listener) -> Evaluation:
    sets = Sets(ours, beside.get("truth"), beside.get("reference"), beside.get("training"))
    figures = [figure for metric in metrics for figure in metric.measure(sets)]
    return Evaluation(ours.name, figures, sets, listener.seconds, listener.account)


class one_thread_each:
    """Lets torch compute on one thread in each of several, as more would only wait for each other."""

    def __init__(self, workers: int) -> None:
        self.before, self.workers = torch.get_num_threads(), workers

    def __enter__(self) -> None:
        if self.workers > 1:
            torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self.before)
