"""Clips as HTML. Whatever a user wrote is escaped here, and nowhere else does HTML come from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from html import escape

from musegen.app.store.record import Record
from musegen.app.view.pictures import waveform

Peaks = Callable[[str], bytes]
"""Gives the peaks of a clip by its id."""

EMPTY = '<p class="nothing">{}</p>'


def studio_cards(records: Sequence[Record], peaks: Peaks, compared: str, again: bool = False) -> str:
    """Cards with what one does next with a new clip; those closest to their prompt first.

    Args:
        records: the clips.
        peaks: gives their waveforms.
        compared: what closeness means.
        again: keep the order as it is.
    """
    if not records:
        return EMPTY.format("What you make appears here: describe some music and press Generate.")
    ordered = list(records) if again else sorted(records, key=lambda each: -(each.closeness or -2.0))
    return _grid(studio_card(record, peaks(record.id), compared) for record in ordered)


def studio_card(record: Record, peaks: bytes, compared: str) -> str:
    """One of `studio_cards`."""
    kept = record.kept is not None
    acts = [
        button("keep", record, "Kept" if kept else "Keep", "In your library" if kept else "Keep in the library", kept),
        button("like", record, "More like this", "Make variations around this clip's embedding"),
        button("start", record, "Use as start", "Begin the next clips with this one"),
        button("lab", record, "To Lab", "Send this clip to the Lab"),
        download(record),
    ]
    return card(record, peaks, compared, "".join(acts))


def library_cards(records: Sequence[Record], peaks: Peaks, cosines: Mapping[str, float] | None = None) -> str:
    """Cards with all that one may do to a clip of the library.

    Args:
        records: the clips, in the order to show.
        peaks: gives their waveforms.
        cosines: how near each is to what was looked for.
    """
    if not records:
        return EMPTY.format("Nothing here. Keep clips in the Studio, or drop your own music above.")
    return _grid(library_card(record, peaks(record.id), (cosines or {}).get(record.id)) for record in records)


def library_card(record: Record, peaks: bytes, cosine: float | None = None) -> str:
    """One of `library_cards`."""
    if record.deleted is not None:
        acts = button("restore", record, "Put back", "Take this clip out of the bin")
        return card(record, peaks, "", acts, cosine=cosine)
    title, id = escape(record.title, quote=True), record.id
    stars = "".join(
        button(
            "rate", record, "★" if place <= record.rating else "☆", f"Rate {place} of 5", place == record.rating, place
        )
        for place in range(1, 6)
    )
    heart = button("favourite", record, "♥" if record.favourite else "♡", "Favourite", record.favourite)
    tags = "".join(f'<span class="tag">{escape(tag)}</span>' for tag in record.tags)
    edit = (
        f'<form class="edit" data-do="rename" data-id="{id}"><label>Name<input name="value" value="{title}" '
        'maxlength="120" autocomplete="off"></label><button type="submit">Rename</button></form>'
        f'<form class="edit" data-do="tag" data-id="{id}"><label>Tags<input name="value" placeholder="slow, piano" '
        f'value="{escape(", ".join(record.tags), quote=True)}" autocomplete="off"></label>'
        '<button type="submit">Set tags</button></form>'
    )
    again = button("again", record, "Make again", "Make it again and compare every bit")
    more = (
        f"<details><summary>More</summary>{edit}{origin(record)}"
        f'<div class="acts">{again if record.kind == "generated" else ""}'
        f"{button('alike', record, 'Find similar', 'Clips that sound like this one')}"
        f'<a class="act" href="muse/clips/{id}.json?download=1" download>JSON</a></div></details>'
    )
    acts = (
        button("like", record, "More like this", "Make variations in the Studio")
        + button("start", record, "Use as start", "Begin the next clips with this one")
        + button("lab", record, "To Lab", "Send this clip to the Lab")
        + download(record)
        + button("delete", record, "Delete", "Move to the bin")
    )
    pick = f'<label class="pick"><input type="checkbox" data-pick="{id}" aria-label="Select {title}"></label>'
    marks = f'<div class="marks">{heart}<span class="stars" role="group" aria-label="Rating">{stars}</span>{tags}</div>'
    return card(record, peaks, "", acts, before=pick, middle=marks, after=more, cosine=cosine)


def card(
    record: Record,
    peaks: bytes,
    compared: str,
    acts: str,
    *,
    before: str = "",
    middle: str = "",
    after: str = "",
    cosine: float | None = None,
) -> str:
    """A clip: its name, player, waveform and mel-spectrogram, and what can be done with it."""
    title = escape(record.title, quote=True)
    wave = waveform(peaks)
    near = cosine if cosine is not None else record.closeness if compared else None
    why = "closeness to what you looked for" if cosine is not None else compared
    shown = "" if near is None else f'<span class="near" title="{escape(why, quote=True)}">{near:.2f}</span>'
    return (
        f'<article class="clip" data-clip="{record.id}" aria-label="{title}">'
        f'<header>{before}<button type="button" class="play" data-play aria-label="Play {title}"></button>'
        f'<div class="name"><h3>{title}</h3><p>{facts(record)}</p></div>{shown}</header>'
        f'<div class="wave" data-seek aria-hidden="true">{wave}<div class="played">{wave}</div></div>'
        f'<div class="mel" data-seek><img src="muse/pictures/{record.id}.png" loading="lazy" width="480" height="72" '
        f'alt="Mel-spectrogram of {title}"><span class="line"></span></div>{middle}'
        f'<div class="acts">{acts}</div>{after}'
        f'<audio preload="none" src="muse/clips/{record.id}.flac"></audio></article>'
    )


def facts(record: Record) -> str:
    """Seed, length, and what was estimated, in one line."""
    parts = [
        f"seed {record.seed}" if record.seed is not None else "your audio",
        f"{record.seconds:.1f} s",
        f"≈ {record.tempo:.0f} bpm" if record.tempo else "",
        f"≈ {record.key}" if record.key else "",
    ]
    return " · ".join(escape(part) for part in parts if part)


def origin(record: Record) -> str:
    """Where a clip comes from: prompt, seed, parents."""
    made = datetime.fromtimestamp(record.created).strftime("%-d %B %Y, %H:%M")
    lines = [
        ("Prompt", record.prompt),
        ("Without", record.negative),
        ("Seed", "" if record.seed is None else str(record.seed)),
        ("Made", made),
        ("Model", record.model),
        ("Lineage", record.lineage.detail or record.lineage.relation),
        ("Audio", f"SHA-256 {record.audio_sha256[:16]}…"),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in lines if text)
    parents = "".join(
        f'<button type="button" class="act" data-do="show" data-id="{escape(id, quote=True)}">'
        f"Show parent {place}</button>"
        for place, id in enumerate(record.lineage.parents, 1)
    )
    children = button("children", record, "Show what was made of it", "Clips that were made with this one")
    return f'<dl class="origin">{rows}</dl><div class="acts">{parents}{children}</div>'


def button(do: str, record: Record, text: str, title: str, pressed: bool | None = None, value: object = "") -> str:
    """A button that tells the page what to do with a clip."""
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    return (
        f'<button type="button" class="act act-{do}" data-do="{do}" data-id="{record.id}" data-value="{value}"{state} '
        f'title="{escape(title, quote=True)}">{escape(text)}</button>'
    )


def download(record: Record) -> str:
    """A link to the audio file."""
    return f'<a class="act" href="muse/clips/{record.id}.flac?download=1" download>Download</a>'


def notice(text: str = "", kind: str = "said") -> str:
    """A sentence of the page: ``said``, ``good`` or ``wrong``; empty for none."""
    if not text:
        return ""
    return f'<p class="notice {kind}" role="{"alert" if kind == "wrong" else "status"}">{escape(text)}</p>'


def progress(done: int, total: int, share: float, doing: str) -> str:
    """A bar that says how far a job is."""
    percent = round(100 * min(1.0, max(0.0, share)))
    words = f"{doing} · {min(done + 1, total)} of {total}"
    return (
        f'<div class="progress" role="progressbar" aria-valuemin="0" aria-valuemax="100" aria-valuenow="{percent}" '
        f'aria-label="{escape(words, quote=True)}"><span style="width:{percent}%"></span><em>{escape(words)}</em></div>'
    )


def _grid(cards: Iterable[str]) -> str:
    return f'<div class="clips">{"".join(cards)}</div>'
