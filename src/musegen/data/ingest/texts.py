"""Texts, numbers and names from tables that people made."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from typing import Any

NOTHING = frozenset({"", "nan", "none", "null", "n/a", "na", "unknown", "<unknown>", "(none)", "-"})


def clean(value: Any) -> str | None:
    """A text in one line, without control characters; None of what says nothing.

    Half a surrogate pair, which no UTF-8 can hold, becomes a question mark.
    """
    if not isinstance(value, str):
        return None
    text = value.encode("utf-8", "replace").decode("utf-8")
    text = " ".join("".join(" " if unicodedata.category(sign) == "Cc" else sign for sign in text).split())
    return None if text.casefold() in NOTHING else text


def number(value: Any) -> float | None:
    """A finite number, also one that is written as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def several(value: Any) -> list[str]:
    """The names in a list, or in a text between commas or semicolons, each once."""
    parts = value if isinstance(value, list | tuple) else re.split(r"[,;|]", value) if isinstance(value, str) else []
    return list(dict.fromkeys(text for part in parts if (text := clean(part)) is not None))


def key_of(name: str, prefix: str = "") -> str:
    """A sample's key from any name, another one for another name.

    Letters, digits and ``_+=@-`` stay; where anything had to be changed, a hash of the name is added.
    """
    plain = re.sub(r"[^A-Za-z0-9_+=@-]+", "-", name).strip("-")
    changed = not plain or plain != name or len(plain) > 50 or plain.startswith("__")
    if changed:
        plain = f"{plain.lstrip('_')[:50]}-{hashlib.blake2b(name.encode(), digest_size=5).hexdigest()}".lstrip("-")
    return prefix + plain


def same_artist(name: str) -> str:
    """An artist's name as one writes it for comparing: without case, accents, or who else took part."""
    folded = unicodedata.normalize("NFKD", name)
    folded = "".join(sign for sign in folded if not unicodedata.combining(sign)).casefold()
    first = re.split(r"[\s(\[]+(?:feat|ft|featuring)(?:\.|\s)", folded)[0]
    return " ".join(re.sub(r"[\W_]+", " ", first).split()) or folded.strip()
