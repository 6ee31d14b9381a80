"""The Lab's map as a Plotly figure: the JSON that plotly.js draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from html import escape
from textwrap import wrap
from typing import Any

from musegen.app.work.mapping import Map, Point

COLOURS = ("#2a9d8f", "#e76f51", "#e9b44c", "#5b8ec9", "#9a6fb0", "#7aa95c", "#d1698f", "#c08552", "#4bb3c4", "#8a7fe0")
GREY = "#8d99ae"
GROUPS = {
    "corpus": ("corpus", GREY),
    "library": ("library", "#2a9d8f"),
    "takes": ("takes", "#5b8ec9"),
    "cloud": ("samples of one prompt", "#e9b44c"),
    "mean": ("their mean", "#d1495b"),
    "regression": ("the regression’s answer", "#d1495b"),  # noqa: RUF001
}
"""What points are, and their colours where that is what colours say; in the order in which they are drawn."""

ANSWERS = ("mean", "regression")
SIZES = {"corpus": 7, "library": 12, "takes": 10, "cloud": 8, "mean": 17, "regression": 17}
SHAPES = {"corpus": "circle", "library": "diamond", "takes": "diamond-open", "cloud": "circle"}
TEMPO = [[0, "#1f8a9d"], [0.5, "#d99a2b"], [1, "#d1496b"]]
WAYS = ("what it is", "genre", "tempo", "key", "prompt")
MOST = len(COLOURS)
BRIEF = 26
"""Characters of a label in the legend."""

REST = ("other", "corpus", "unknown")
"""Labels that stand last, in grey."""


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
    solid, tempo = drawn.places.shape[1] == 3, colour == "tempo"
    labels = _labels(drawn.points, colour)
    order = list(dict.fromkeys(sorted(labels, key=lambda label: REST.index(label) if label in REST else -1)))
    data: list[dict[str, Any]] = []
    listed: set[str] = set()
    for group in GROUPS:
        for label in order:
            chosen = [
                place for place, point in enumerate(drawn.points) if point.group == group and labels[place] == label
            ]
            if not chosen:
                continue
            shade = _shade(group, label, order, colour)
            trace = _trace(drawn, chosen, group, solid, shade)
            named = label if colour != "what it is" else GROUPS[group][0]
            trace |= {"name": _brief(named), "legendgroup": named}
            trace["showlegend"] = named not in listed and (not tempo or label == "unknown")
            listed.add(named)
            data.append(trace)
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
        box = {"showticklabels": False, "zeroline": False, "showspikes": False, "title": {"text": ""}}
        layout["scene"] = {axis: dict(box) for axis in ("xaxis", "yaxis", "zaxis")}
    if tempo:
        layout["coloraxis"] = {
            "cmin": 50,
            "cmax": 200,
            "colorscale": TEMPO,
            "colorbar": {"title": {"text": "bpm"}, "thickness": 10, "len": 0.5, "y": 0.02, "yanchor": "bottom"},
        }
    return json.dumps({"data": data, "layout": layout})


def _trace(drawn: Map, chosen: list[int], group: str, solid: bool, shade: str | None) -> dict[str, Any]:
    points = [drawn.points[place] for place in chosen]
    places = drawn.places[chosen]
    shape = (
        ("cross" if solid else "x") if group in ANSWERS else SHAPES[group]
    )  # a solid x is a character few fonts have
    marker: dict[str, Any] = {
        "size": SIZES[group] * (0.55 if solid else 1),
        "symbol": shape,
        "opacity": 0.7 if group in ("corpus", "cloud") else 1.0,
    }
    if group == "takes":
        marker["line"] = {"width": 2}
    if shade is None:
        marker |= {"color": [point.tempo for point in points], "coloraxis": "coloraxis"}
    else:
        marker["color"] = shade
    shared = {
        "x": places[:, 0].round(3).tolist(),
        "y": places[:, 1].round(3).tolist(),
        "mode": "markers",
        "marker": marker,
        "text": [_hover(point) for point in points],
        "hoverinfo": "text",
        "customdata": [point.name for point in points],
    }
    if solid:
        return {"type": "scatter3d", "z": places[:, 2].round(3).tolist(), **shared}
    return {"type": "scatter", **shared}


def _shade(group: str, label: str, order: list[str], colour: str) -> str | None:
    """The colour of a group's points with one label; None where each has its own."""
    if colour == "what it is":
        return GROUPS[group][1]
    if label in REST:
        return GREY
    return None if colour == "tempo" else COLOURS[order.index(label) % len(COLOURS)]


def _labels(points: list[Point], colour: str) -> list[str]:
    """A label for each point: the most frequent ones by name, all others together."""
    ways: dict[str, Callable[[Point], str]] = {
        "what it is": lambda point: point.group,
        "genre": lambda point: point.genre,
        "key": lambda point: point.key,
        "prompt": lambda point: "corpus" if point.group == "corpus" else point.prompt,
        "tempo": lambda point: "" if point.tempo is None else "tempo",
    }
    named = [ways[colour](point) or "unknown" for point in points]
    counted = sorted(dict.fromkeys(named), key=lambda label: -named.count(label))
    known = {*[label for label in counted if label not in REST][:MOST], *REST}
    return [label if label in known else "other" for label in named]


def _brief(label: str) -> str:
    """A label as the legend shows it; Plotly reads a little HTML, so what users wrote is escaped."""
    return escape(label if len(label) <= BRIEF else f"{label[: BRIEF - 1].rstrip()}…")


def _hover(point: Point) -> str:
    """What is read beside the pointer; Plotly reads a little HTML, so what users wrote is escaped."""
    facts = [point.genre, f"{point.tempo:.0f} bpm" if point.tempo else "", point.key]
    rest = " · ".join(escape(fact) for fact in facts if fact)
    words = "<br>".join(escape(line) for line in wrap(point.title, 46, max_lines=2, placeholder=" …"))
    kind = "" if point.group in ANSWERS else f"<br>{GROUPS[point.group][0]}"
    return f"<b>{words}</b>{f'<br>{rest}' if rest else ''}{kind}"
