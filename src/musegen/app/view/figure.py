"""The Lab's map as a Plotly figure: the JSON that plotly.js draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from typing import Any

from musegen.app.work.mapping import Map, Point

COLOURS = ("#2a9d8f", "#e76f51", "#e9b44c", "#5b8ec9", "#9a6fb0", "#7aa95c", "#d1698f", "#8d99ae", "#c08552", "#4bb3c4")
GREY = "#8d99ae"
GROUPS = {
    "corpus": "corpus",
    "library": "library",
    "takes": "takes",
    "cloud": "samples of one prompt",
    "mean": "their mean",
}
SIZES = {"corpus": 5, "library": 11, "takes": 9, "cloud": 6, "mean": 17}
SHAPES = {"corpus": "circle", "library": "diamond", "takes": "diamond-open", "cloud": "circle", "mean": "x"}
WAYS = ("what it is", "genre", "tempo", "key", "prompt")
MOST = len(COLOURS) - 1


def figure(drawn: Map, colour: str = "what it is") -> str:
    """A map as the JSON of a Plotly figure; each point carries its name.

    Args:
        drawn: the map.
        colour: by what; one of `WAYS`.

    Raises:
        ValueError: for another way to colour.
    """
    if colour not in WAYS:
        raise ValueError(f"colour: expected one of {', '.join(WAYS)}, got {colour!r}")
    data: list[dict[str, Any]] = []
    solid = drawn.places.shape[1] == 3
    tempo = colour == "tempo"
    labels = _labels(drawn.points, colour)
    order = list(dict.fromkeys(sorted(labels, key=lambda label: (label in ("other", "unknown"), labels.index(label)))))
    for group in SIZES:
        for label in order if not tempo else [""]:
            chosen = [
                place
                for place, point in enumerate(drawn.points)
                if point.group == group and (tempo or labels[place] == label)
            ]
            if chosen:
                data.append(_trace(drawn, chosen, group, label, order, solid, tempo))
    bare = {"showticklabels": False, "zeroline": False, "showgrid": False, "ticks": ""}
    layout: dict[str, Any] = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": bare,
        "yaxis": bare,
        "hoverlabel": {"align": "left", "namelength": 0},
        "uirevision": "same",
        "showlegend": True,
    }
    if solid:
        layout["scene"] = {axis: {"visible": False} for axis in ("xaxis", "yaxis", "zaxis")}
    if tempo:
        layout["coloraxis"] = {
            "cmin": 50,
            "cmax": 200,
            "colorscale": [[0, "#2a9d8f"], [0.5, "#e9e2c8"], [1, "#d1498f"]],
            "colorbar": {"title": {"text": "bpm"}, "thickness": 10, "len": 0.5, "y": 0.02, "yanchor": "bottom"},
        }
    return json.dumps({"data": data, "layout": layout})


def _trace(
    drawn: Map, chosen: list[int], group: str, label: str, order: list[str], solid: bool, tempo: bool
) -> dict[str, Any]:
    points = [drawn.points[place] for place in chosen]
    places = drawn.places[chosen]
    marker: dict[str, Any] = {
        "size": SIZES[group] * (0.55 if solid else 1),
        "symbol": "circle" if solid and group == "corpus" else SHAPES[group],
        "opacity": 0.55 if group in ("corpus", "cloud") else 1.0,
    }
    if tempo:
        marker |= {"color": [point.tempo for point in points], "coloraxis": "coloraxis"}
    else:
        marker["color"] = GREY if label in ("other", "unknown") else COLOURS[order.index(label) % len(COLOURS)]
    shared = {
        "x": places[:, 0].round(3).tolist(),
        "y": places[:, 1].round(3).tolist(),
        "mode": "markers",
        "marker": marker,
        "name": GROUPS[group] if tempo or label == GROUPS[group] else f"{label} · {GROUPS[group]}",
        "text": [_hover(point) for point in points],
        "hoverinfo": "text",
        "customdata": [point.name for point in points],
    }
    if solid:
        return {"type": "scatter3d", "z": places[:, 2].round(3).tolist(), **shared}
    return {"type": "scatter", **shared}


def _labels(points: list[Point], colour: str) -> list[str]:
    """A label for each point: the most frequent ones by name, all others together."""
    ways: dict[str, Callable[[Point], str]] = {
        "what it is": lambda point: GROUPS[point.group],
        "genre": lambda point: point.genre,
        "key": lambda point: point.key,
        "prompt": lambda point: point.prompt[:40],
        "tempo": lambda point: "",
    }
    named = [ways[colour](point) or "unknown" for point in points]
    counted = sorted(dict.fromkeys(named), key=lambda label: -named.count(label))
    known = set([label for label in counted if label != "unknown"][:MOST])
    return [label if label in known or label == "unknown" else "other" for label in named]


def _hover(point: Point) -> str:
    """What is read beside the pointer; Plotly reads a little HTML, so what users wrote is escaped."""
    facts = [point.genre, f"{point.tempo:.0f} bpm" if point.tempo else "", point.key]
    rest = " · ".join(escape(fact) for fact in facts if fact)
    words = escape(point.title if len(point.title) < 90 else f"{point.title[:89]}…")
    return f"<b>{words}</b>{f'<br>{rest}' if rest else ''}"
