"""Evaluations as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from musegen.files import write_whole
from musegen.metrics.base import MusicSet
from musegen.metrics.evaluation import Evaluation
from musegen.metrics.figures import Estimate, Figure
from musegen.metrics.hearing.key import Key
from musegen.metrics.hearing.tempo import Tempo
from musegen.metrics.key import related
from musegen.metrics.report import side_by_side

RELATIONS = ("same", "relative", "fifth", "parallel", "other")
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple")


def plot(evaluations: Sequence[Evaluation], folder: Path) -> list[Path]:
    """Draw all figures that lie between 0 and 1, and what was heard against what was asked for.

    Args:
        evaluations: of one or more folders.
        folder: for ``agreement.png``, ``tempo.png`` and ``key.png``.

    Returns:
        The files.

    Raises:
        ImportError: without matplotlib.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise ImportError("plots are drawn by matplotlib: pip install 'musegen[eval]'") from None
    drawn = {"agreement": _agreement(evaluations), "tempo": _tempo(evaluations), "key": _key(evaluations)}
    return [_save(figure, folder / f"{name}.png") for name, figure in drawn.items() if figure is not None]


def _save(figure: Any, path: Path) -> Path:
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, bbox_inches="tight")
    write_whole({path: buffer.getvalue()})
    return path


def _agreement(evaluations: Sequence[Evaluation]) -> Any:
    """Shares of clips: bars of ours, with the ceiling and chance as marks."""
    from matplotlib.figure import Figure

    rows = [row for row in side_by_side(evaluations) if _is_share(row[0])]
    if not rows:
        return None
    figure = Figure(figsize=(8, 1.2 + 0.42 * len(rows) * max(1, 0.6 * len(evaluations))))
    axes = figure.subplots()
    height = 0.7 / len(evaluations)
    for place, row in enumerate(rows):
        for number, one in enumerate(row):
            where = place + (number - (len(row) - 1) / 2) * height
            if one.ours is not None:
                _bar(axes, one.ours, where, height, COLOURS[number % len(COLOURS)])
        for estimate, style in ((row[0].ceiling, "k-"), (row[0].chance, "k:")):
            if estimate is not None:
                axes.plot([estimate.value] * 2, [place - 0.42, place + 0.42], style, linewidth=1.5)
    axes.set_yticks(range(len(rows)), [row[0].name for row in rows])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1.02), xlabel="share; solid line: real music, dotted: chance, whiskers: 95 %")
    if len(evaluations) > 1:
        for number, one in enumerate(evaluations):
            axes.barh([np.nan], [np.nan], color=COLOURS[number % len(COLOURS)], label=Path(one.folder).name)
        axes.legend(fontsize=8, loc="lower right")
    return figure


def _is_share(figure: Figure) -> bool:
    known = [one for one in (figure.ours, figure.ceiling) if one is not None]
    return figure.better == "higher" and bool(known) and all(0 <= one.value <= 1 for one in known)


def _bar(axes: Any, estimate: Estimate, where: float, height: float, colour: str) -> None:
    axes.barh(where, estimate.value, height * 0.9, color=colour, alpha=0.75)
    if np.isfinite(estimate.low):
        axes.plot([estimate.low, estimate.high], [where, where], color="black", linewidth=1)


def _shown(evaluations: Sequence[Evaluation], identity: str) -> list[tuple[str, MusicSet]]:
    """The folders that are judged, and real music, as far as something was heard in them."""
    shown = [(Path(one.folder).name or one.folder, one.sets.ours) for one in evaluations]
    if evaluations[0].sets.real is not None:
        shown.append(("real music", evaluations[0].sets.real))
    return [(name, clips) for name, clips in shown if identity in clips.heard]


def _tempo(evaluations: Sequence[Evaluation]) -> Any:
    """Tempo heard against tempo asked for; lines mark the right one, its double and its half."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FormatStrFormatter, NullLocator

    feature, known = Tempo(), []
    for name, clips in _shown(evaluations, feature.identity):
        asked = np.array([one.tempo if one.tempo is not None else np.nan for one in clips.wanted])
        if not np.isnan(asked).all():
            known.append((name, asked, clips.values(feature, "tempo")))
    if not known:
        return None
    figure = Figure(figsize=(4 * len(known), 4))
    all_axes = figure.subplots(1, len(known), squeeze=False, sharey=True)
    for axes, (name, asked, heard) in zip(all_axes[0], known, strict=True):
        ends = np.array([np.nanmin(asked) * 0.95, np.nanmax(asked) * 1.05])
        for factor, style in ((1, "-"), (2, ":"), (0.5, ":")):
            axes.plot(ends, factor * ends, style, color="grey", linewidth=1)
        axes.plot(asked, heard, ".", alpha=0.5)
        axes.set(title=name, xlabel="asked for, bpm", xscale="log", yscale="log", ylim=(38, 250))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([40, 60, 80, 100, 120, 160, 200, 240]))
            axis.set_major_formatter(FormatStrFormatter("%d"))
            axis.set_minor_locator(NullLocator())
    all_axes[0][0].set_ylabel("heard, bpm")
    return figure


def _key(evaluations: Sequence[Evaluation]) -> Any:
    """How the key that is heard lies to the one that is asked for."""
    from matplotlib.figure import Figure

    feature, known = Key(), []
    for name, clips in _shown(evaluations, feature.identity):
        pairs = zip(clips.values(feature, "key"), clips.wanted, strict=True)
        relations = [related(int(heard), wanted.key) for heard, wanted in pairs if wanted.key is not None]
        if relations:
            known.append((name, [relations.count(relation) / len(relations) for relation in RELATIONS]))
    if not known:
        return None
    figure = Figure(figsize=(6, 3.5))
    axes = figure.subplots()
    width = 0.8 / len(known)
    for number, (name, shares) in enumerate(known):
        axes.bar(np.arange(len(RELATIONS)) + (number - (len(known) - 1) / 2) * width, shares, width, label=name)
    axes.set_xticks(range(len(RELATIONS)), RELATIONS)
    axes.set(ylabel="share of clips", title="the key that is heard, beside the one that is asked for")
    axes.legend(fontsize=8)
    return figure
