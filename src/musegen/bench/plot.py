"""The rows of a bench as a picture: our figures beside the poster's, peers' and the floor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musegen.bench.report import Row


def draw(name: str, rows: Sequence[Row], scale: tuple[float, str], path: Path) -> bool:
    """Draw what was measured: lines over batch sizes, or bars where all rows have the same one.

    Args:
        name: of the bench.
        rows: those that failed are left out.
        scale: what seconds are multiplied by, and what that is called.
        path: of the PNG.

    Returns:
        Whether it was drawn: not where matplotlib is not installed, or nothing was measured.
    """
    measured = [row for row in rows if row.each]
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not measured:
        return False
    one_size = len({row.batch for row in measured}) == 1
    figure = Figure(figsize=(7, 1.2 + 0.45 * len(measured)) if one_size else (7, 4.5))  # not pyplot's: no window
    axes = figure.subplots()
    (_bars if one_size else _lines)(axes, measured, scale)
    axes.set_title(name)
    axes.legend(fontsize=7)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    return True


def _lines(axes: Any, rows: Sequence[Row], scale: tuple[float, str]) -> None:
    for key in dict.fromkeys((row.what, row.lane_kind, row.precision) for row in rows):
        points = [(row.batch, row.each) for row in rows if (row.what, row.lane_kind, row.precision) == key and row.each]
        batches, each = zip(*sorted(points), strict=True)
        label = ", ".join(part for part in key if part)
        foreseen = {row.batch: row.predicted for row in rows if (row.what, row.lane_kind, row.precision) == key}
        style = "o" if any(foreseen.values()) else "o-"
        (line,) = axes.plot(batches, [seconds * scale[0] for seconds in each], style, label=label)
        if style == "o":  # the line is what was predicted
            lines = [(batch, seconds * scale[0]) for batch, seconds in sorted(foreseen.items()) if seconds]
            axes.plot(*zip(*lines, strict=True), "-", color=line.get_color(), linewidth=1)
    for kind, style in (("poster", "k--"), ("floor", "k:")):
        known = sorted({(row.batch, value) for row in rows if (value := getattr(row, kind)) and not row.predicted})
        if known:
            batches, each = zip(*known, strict=True)
            axes.plot(batches, [seconds * scale[0] for seconds in each], style, marker=".", label=kind)
    axes.set(xscale="log", yscale="log", xlabel="items at once", ylabel=f"{scale[1]} an item")


def _bars(axes: Any, rows: Sequence[Row], scale: tuple[float, str]) -> None:
    places = range(len(rows))
    axes.barh(places, [(row.each or 0) * scale[0] for row in rows], color="#4a7ebb", label="measured")
    for kind, mark, colour in (("poster", "D", "#c0504d"), ("floor", "|", "black")):
        known = [
            (value * scale[0], place) for place, row in zip(places, rows, strict=True) if (value := getattr(row, kind))
        ]
        if known:
            across, down = zip(*known, strict=True)
            axes.scatter(across, down, marker=mark, s=60, color=colour, zorder=3, label=kind)
    labels = [
        ", ".join(part for part in (row.what, row.lane and f"lane {row.lane}", row.precision) if part) for row in rows
    ]
    axes.set_yticks(places, labels, fontsize=7)
    axes.invert_yaxis()
    axes.set(xlabel=f"{scale[1]} an item")
