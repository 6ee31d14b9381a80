"""Tables of a model card from the files that an evaluation left; what is missing is said to be missing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from musegen.metrics.figures import Estimate

KNOWN, UNSEEN, DISTANCES = "known/evaluation.json", "unseen/evaluation.json", "distances/evaluation.json"
NONE = "-"
CAPTIONS = 200
"""Under which a share says little."""

PUBLISHED = "Stable Audio Open's codec is published with 6.28 dB SI-SDR on another set, so the two do not compare"
FACTS = ("tempo", "key", "mode", "instruments", "genre")


def read(path: Path) -> dict[str, Any] | None:
    """A JSON file; None where there is none.

    Raises:
        ValueError: naming the file, if it is no JSON object.
    """
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content


def missing(path: Path, what: str) -> str:
    """The sentence that stands where a figure does not."""
    return f"**Missing:** {what} (no `{path.parent.name}/{path.name}`).\n"


def text(estimate: Mapping[str, Any] | None) -> str:
    """An estimate of a JSON file as a cell."""
    if estimate is None or estimate.get("value") is None:
        return NONE
    nan = float("nan")
    ends = (nan if estimate.get(end) is None else estimate[end] for end in ("low", "high"))
    low, high = ends
    return str(Estimate(estimate["value"], low, high))


def row(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def judged(evaluation: Path, file: str, what: str, names: Sequence[str] = ()) -> str:
    """The table of one evaluation: ours, or several folders side by side, between real music and chance.

    Args:
        evaluation: folder that evaluate_default.sh wrote.
        file: in it.
        what: it measures, should it be missing.
        names: of the folders, where there are several.
    """
    said = read(evaluation / file)
    if said is None:
        return missing(evaluation / file, what)
    folders = said["judged"]
    several = len(folders) > 1
    titles = list(names) if several else ["ours"]
    heading = ["", "real (ceiling)", "chance", *titles, *([] if several else ["of real"]), "clips", "how to read it"]
    lines = [row(heading), row(["---"] * len(heading))]
    known = [{one["name"]: one for one in folder["figures"]} for folder in folders]
    for name in dict.fromkeys(name for one in known for name in one):
        figures = [one.get(name, {}) for one in known]
        first = next(figure for figure in figures if figure)
        if all(figure.get("ours") is None for figure in figures):
            note = first.get("note", "")
            lines.append(row([first["name"], *[NONE] * (len(heading) - 2), f"not measured: {note}"]))
            continue
        share = [] if several else [f"{first['of_ceiling']:.2f}" if first.get("of_ceiling") is not None else ""]
        counts = [str(figure["ours"]["count"]) if figure.get("ours") else "0" for figure in figures]
        ours = [text(figure.get("ours")) for figure in figures]
        ends = [text(first.get("ceiling")), text(first.get("chance"))]
        lines.append(row([first["name"], *ends, *ours, *share, "/".join(dict.fromkeys(counts)), first.get("note", "")]))
    counts = [f"{folder['clips']} clips of {folder['captions']} captions" for folder in folders]
    lines += ["", f"{'; '.join(counts)}, the first {said['seconds']:g} s of each; 95 % bootstrap over captions.", ""]
    return "\n".join(lines)


def figure(said: Mapping[str, Any] | None, name: str, folder: int = 0) -> dict[str, Any] | None:
    """The figure of that name, or else the first whose name begins so; None where there is none that was measured."""
    if said is None or folder >= len(said["judged"]):
        return None
    known = [one for one in said["judged"][folder]["figures"] if one.get("ours") and one["name"].startswith(name)]
    return next((one for one in known if one["name"] == name), known[0] if known else None)


def codec(evaluation: Path) -> str:
    """What the codec loses of renders and of recordings, side by side."""
    places = {
        "held-out renders": "codec/codec.json",
        "held-out recordings": "codec_recordings_test/codec.json",
        "more held-out recordings": "codec_recordings_val/codec.json",
    }
    found = {name: said for name, file in places.items() if (said := read(evaluation / file)) is not None}
    parts = []
    if found:
        names = [one["name"] for one in next(iter(found.values()))["figures"]]
        lines = [row(["music", "clips", *names]), row(["---"] * (len(names) + 2))]
        for title, said in found.items():
            counts = str(said["figures"][0]["ours"]["count"])
            lines.append(row([title, counts, *(text(one["ours"]) for one in said["figures"])]))
        parts.append("\n".join([*lines, "", f"{PUBLISHED}.", ""]))
    if "held-out renders" not in found:
        parts.append(missing(evaluation / places["held-out renders"], "the codec on held-out renders"))
    if not any("recordings" in name for name in found):
        parts.append(missing(evaluation / places["held-out recordings"], "the codec on held-out recordings"))
    return "\n".join(parts)


def probes(evaluation: Path) -> str:
    """What linear maps read off the embedding, of known and of unseen grooves."""
    parts = []
    for name, title in (("known", "known grooves"), ("unseen", "grooves never seen")):
        path = evaluation / f"probe_{name}.json"
        table = read(path)
        if table is None:
            parts.append(missing(path, f"linear probes on {title}"))
            continue
        columns = list(table)
        lines = [row([title, *columns]), row(["---"] * (len(columns) + 1))]
        for fact in FACTS:
            cells = [f"{table[column][fact]:.2f}" if fact in table[column] else NONE for column in columns]
            lines.append(row([fact, *cells]))
        parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def guidance(evaluation: Path) -> str:
    """Stage 1 at several guidances."""
    path = evaluation / "guidance" / "guidance.json"
    said = read(path)
    if said is None:
        return missing(path, "stage 1 at guidance 1 to 6")
    columns = {
        "r2": "R²",
        "r2 of mean": "R² of the draws' mean",
        "top1": "top-1",
        "top10": "top-10",
        "spread": "spread",
    }
    lines = [row(["stage 1", "guidance", *columns.values()]), row(["---"] * (len(columns) + 2))]
    for one in said["rows"]:
        cells = [text(dict(zip(("value", "low", "high"), one["figures"][name], strict=True))) for name in columns]
        lines.append(row([one["name"], f"{one['guidance']:g}", *cells]))
    chance = said["chance of top10"]
    note = f"{said['pieces']} held-out pieces, {said['draws']} draws each; chance of top-10 is {chance:.3f}."
    return "\n".join([*lines, "", note, ""])


def aims(evaluation: Path) -> str:
    """What was aimed at, beside what came out, and whether it was reached; of too few captions or windows neither."""
    known, unseen, far = (read(evaluation / file) for file in (KNOWN, UNSEEN, DISTANCES))
    rows: list[tuple[str, str, bool | str | None]] = []
    for said, where, aim in ((known, "known grooves", 0.9), (unseen, "grooves never seen", 0.75)):
        for name in FACTS:
            one = figure(said, name)
            rows.append((f"{name}, {where}: {aim:.2f} of the ceiling", *of_ceiling(one, aim, few(said))))
    ours, back = figure(far, "Fréchet", 0), figure(far, "Fréchet", 1)
    title = "Fréchet distance to real A: 1.25 times that of real B given back"
    if ours is None or back is None:
        rows.append((title, "", None))
    else:
        ratio = ours["ours"]["value"] / back["ours"]["value"]
        short = "advised" in ours["note"] or "advised" in back["note"]
        rows.append((title, f"{ratio:.2f} times", "too few windows" if short else ratio <= 1.25))
    for name, aim, enough in (
        ("retrieval top-10", "retrieval top-10 of 200: 0.7", lambda value: value >= 0.7),
        ("silent", "silent clips: none", lambda value: value == 0),
        ("clipped", "clipped clips: none", lambda value: value == 0),
    ):
        one = figure(known, name)
        came = "" if one is None else f"{text(one['ours'])} {one['note'] if 'top' in name else ''}".strip()
        rows.append((aim, came, None if one is None else few(known) or enough(one["ours"]["value"])))
    rows.append(("two stages against one, mean over five facts: -0.05", *against_one(evaluation)))
    lost = read(evaluation / "codec/codec.json")
    sdr = None if lost is None else lost["figures"][0]["ours"]
    rows.append(("codec on held-out renders: SI-SDR 11 dB", text(sdr) if sdr else "", sdr and sdr["value"] >= 11))
    lines = [row(["aim", "measured", "reached"]), row(["---"] * 3)]
    for aim, came, got in rows:
        verdict = got if isinstance(got, str) else NONE if got is None else "yes" if got else "**no**"
        lines.append(row([aim, came or "missing", verdict]))
    return "\n".join([*lines, ""])


def few(said: Mapping[str, Any] | None) -> str:
    """A word instead of a verdict where fewer captions were asked than the aims speak of."""
    return "too few captions" if said is not None and said["judged"][0]["captions"] < CAPTIONS else ""


def of_ceiling(one: Mapping[str, Any] | None, aim: float, instead: str) -> tuple[str, bool | str | None]:
    """A figure beside its ceiling, and whether its share is what was aimed at."""
    if one is None:
        return "", None
    came = f"{text(one['ours'])} of {text(one.get('ceiling'))}"
    share = one.get("of_ceiling")
    return (came, None) if share is None else (f"{share:.2f}: {came}", instead or share >= aim)


def against_one(evaluation: Path) -> tuple[str, bool | None]:
    """How much better two stages agree with captions than one, over all facts that both were asked."""
    said = read(evaluation / "one_stage/evaluation.json")
    pairs = [(figure(said, name, 0), figure(said, name, 1)) for name in FACTS]
    gains = [two["ours"]["value"] - one["ours"]["value"] for two, one in pairs if two is not None and one is not None]
    if not gains:
        return "", None
    return f"{sum(gains) / len(gains):+.2f}", sum(gains) / len(gains) >= -0.05
