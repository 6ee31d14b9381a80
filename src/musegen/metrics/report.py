"""Evaluations as JSON, and as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from musegen import __version__
from musegen.files import write_whole
from musegen.metrics.evaluation import Evaluation
from musegen.metrics.figures import Estimate, Figure


def write_json(evaluations: Sequence[Evaluation], path: Path) -> None:
    """Write all figures, whole or not at all."""
    first = evaluations[0]
    real = {
        name: {"folder": clips.name, "clips": len(clips)}
        for name in ("truth", "reference", "training")
        if (clips := getattr(first.sets, name)) is not None
    }
    content: dict[str, Any] = {
        "format": "musegen-evaluation",
        "version": 1,
        "musegen": __version__,
        "command": sys.argv[1:],
        "seconds": first.seconds,
        "real": real,
        "judged": [
            {
                "folder": one.folder,
                "clips": len(one.sets.ours),
                "captions": len({piece.caption for piece in one.sets.ours.pieces if piece.caption}),
                "figures": [figure.as_json() for figure in one.figures],
            }
            for one in evaluations
        ],
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole({path: f"{text}\n".encode()})


def rows_of(evaluations: Sequence[Evaluation]) -> tuple[list[str], list[list[str]]]:
    """A table's heading and rows of texts: ceiling, chance, and each folder's own figure.

    Real music's figures are the same for all folders; chance is the first folder's.
    """
    several = len(evaluations) > 1
    names = [Path(one.folder).name or one.folder for one in evaluations] if several else ["ours"]
    heading = ["", "real", "chance", *names, *([] if several else ["of real"]), "clips", "how to read it"]
    rows = []
    for together in side_by_side(evaluations):
        first = together[0]
        share = "" if several or first.of_ceiling is None else f"{first.of_ceiling:.2f}"
        rows.append(
            [
                first.name,
                _text(first.ceiling),
                _text(first.chance),
                *(_text(figure.ours) for figure in together),
                *([] if several else [share]),
                _clips(together),
                first.note,
            ]
        )
    return heading, rows


def side_by_side(evaluations: Sequence[Evaluation]) -> list[list[Figure]]:
    """Each figure of all folders together, by its name; one that a folder lacks was not measured there."""
    first: dict[str, Figure] = {}
    for one in evaluations:
        for figure in one.figures:
            first.setdefault(figure.name, figure)
    known = [{figure.name: figure for figure in one.figures} for one in evaluations]
    return [
        [figures.get(name) or replace(figure, ours=None, note="not measured here") for figures in known]
        for name, figure in first.items()
    ]


def markdown(evaluations: Sequence[Evaluation]) -> str:
    """The table as Markdown."""
    heading, rows = rows_of(evaluations)
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines) + "\n"


def print_table(evaluations: Sequence[Evaluation]) -> None:
    """Print the table on standard output."""
    from rich.console import Console
    from rich.table import Table

    heading, rows = rows_of(evaluations)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(heading):
        last = number == len(heading) - 1
        table.add_column(name, no_wrap=not last and number > 0, overflow="fold", style="dim" if last else None)
    for row in rows:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 160
    Console(width=width).print(table)


def _text(estimate: Estimate | None) -> str:
    return "-" if estimate is None else str(estimate)


def _clips(figures: Sequence[Figure]) -> str:
    counts = [0 if figure.ours is None else figure.ours.count for figure in figures]
    return str(counts[0]) if len(set(counts)) == 1 else "/".join(map(str, counts))


def print_codec(figures: Sequence[Figure]) -> None:
    """Print a codec's figures on standard output."""
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        count = "" if figure.ours is None else f"{figure.ours.count} clips"
        print(f"{figure.name:<{width}}  {_text(figure.ours):<24} {count:<10} {figure.note}")


def write_codec(codec: str, audio: str, seconds: float | None, figures: Sequence[Figure], path: Path) -> None:
    """Write a codec's figures, whole or not at all."""
    content = {
        "format": "musegen-codec-evaluation",
        "version": 1,
        "musegen": __version__,
        "codec": codec,
        "audio": audio,
        "seconds": seconds,
        "figures": [figure.as_json() for figure in figures],
    }
    write_whole({path: f"{json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode()})
