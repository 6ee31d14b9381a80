"""Captions of music that has none, from what is known of it; each says only that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TONICS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
TEMPO_WORDS = ((76, "very slow"), (96, "slow"), (120, "mid-tempo"), (150, "fast"))
LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "cy": "Welsh", "da": "Danish",
    "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "ga": "Irish", "gl": "Galician", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian",
    "id": "Indonesian", "is": "Icelandic", "it": "Italian", "ja": "Japanese", "ko": "Korean", "la": "Latin",
    "lt": "Lithuanian", "lv": "Latvian", "mk": "Macedonian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish",
    "pt": "Portuguese", "ro": "Romanian", "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "so": "Somali",
    "sq": "Albanian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "te": "Telugu", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What is known of a piece; empty or None where nothing is.

    Args:
        genres: its genres.
        tags: words that listeners gave it.
        tempo: beats a minute.
        key: such as ``D minor``.
        mode: ``major`` or ``minor``.
        energy: 0 to 1.
        valence: 0 (sad) to 1 (happy).
        language: code of what is sung, such as ``en``; ``instrumental`` where nothing is.
        instruments: what is heard.
    """

    genres: Sequence[str] = ()
    tags: Sequence[str] = ()
    tempo: float | None = None
    key: str | None = None
    mode: str | None = None
    energy: float | None = None
    valence: float | None = None
    language: str | None = None
    instruments: Sequence[str] = ()


def key_name(pitch: float | None, mode: float | None) -> str | None:
    """The name of a key that is given by numbers: pitch class 0 (C) to 11, mode 1 for major and 0 for minor."""
    if pitch is None or mode is None or pitch not in range(12) or mode not in (0, 1):
        return None
    return f"{TONICS[int(pitch)]} {'major' if mode else 'minor'}"


def describe(known: Known) -> dict[str, str]:
    """Captions by name, ``main`` first; each text once, none where nothing is known.

    ``main`` is a sentence with everything in it, ``words`` a list of the same; ``genre``, ``mood`` and ``music`` say a
    part of it, and ``tags`` are the listeners' words.
    """
    tempo = None if known.tempo is None or not 20 <= known.tempo <= 320 else round(known.tempo)
    moods = _moods(known)
    genres, kind = list(known.genres[:3]), _kind(known.language)
    pace = None if tempo is None else next((word for limit, word in TEMPO_WORDS if tempo < limit), "very fast")
    sung = LANGUAGES.get((known.language or "").casefold())
    ending = [
        f"at {tempo} bpm" if tempo else "",
        f"in {known.key}" if known.key else f"in a {known.mode} key" if known.mode else "",
        f"with {listed(known.instruments)}" if known.instruments else "",
        f"sung in {sung}" if sung else "",
    ]
    head = _with_article([", ".join([*moods, *([pace] if pace else [])]), listed(genres), kind])
    extra = [tag for tag in known.tags if tag not in genres]
    words = [*genres, *extra[:4], *moods, *([pace, f"{tempo} bpm"] if pace else []), *filter(None, [known.key])]
    words += [*known.instruments, *([sung] if sung else [])]
    captions = {
        "main": " ".join([head, *filter(None, ending)]) if any([genres, moods, pace, *ending]) else "",
        "words": ", ".join(words),
        "genre": _with_article([listed(genres), kind]) if genres else "",
        "mood": _with_article([" and ".join(moods), listed(genres[:1]), kind]) if moods else "",
        "music": " ".join(filter(None, [_with_article([pace or "", listed(genres[:1]), kind]), *ending[:2]]))
        if pace or any(ending[:2])
        else "",
        "tags": ", ".join(known.tags[:8]),
    }
    captions = {name: text for name, text in captions.items() if text}
    if captions and "main" not in captions:
        captions = {"main": captions.pop("words"), **captions}
    first = {text: name for name, text in reversed(captions.items())}
    return {name: text for name, text in captions.items() if first[text] == name}


def listed(names: Sequence[str]) -> str:
    """Names as English lists them; empty for none."""
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _kind(language: str | None) -> str:
    if language is None:
        return "piece"
    return "instrumental piece" if language.casefold() == "instrumental" else "song"


def _moods(known: Known) -> list[str]:
    """Words for energy and valence where they are marked; what lies in the middle has none."""
    found = []
    if known.energy is not None and not 0.35 < known.energy < 0.7:
        found.append("energetic" if known.energy >= 0.7 else "calm")
    if known.valence is not None and not 0.35 < known.valence < 0.65:
        found.append("cheerful" if known.valence >= 0.65 else "melancholic")
    return found


def _with_article(words: Sequence[str]) -> str:
    text = " ".join(filter(None, words))
    return f"{'an' if text[:1].casefold() in 'aeiou' else 'a'} {text}"
