"""Licences, by how much they ask of whoever uses what is under them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# from free to strict; a name is of the first group whose pattern matches its beginning
STRICTNESS = (
    r"cc0|public[ -]?domain|pd$|unlicense|wtfpl|0bsd",
    r"mit|bsd|isc|apache|expat|zlib|cc-by-\d|cc-by$|ofl|odc-by|cdla-permissive",
    r"cc-by-sa|odbl|mpl|lgpl|epl|cdla-sharing",
    r"a?gpl",
    r"cc-by-nd",
    r"stabilityai|openrail|creativeml|bigscience",
    r"cc-by-nc-\d|cc-by-nc$",
    r"cc-by-nc-sa",
    r"cc-by-nc-nd",
)


def strictness(licence: str) -> int:
    """How strict a licence is, by its SPDX name; a name that is not known counts as the strictest.

    What is under several licences at once (``MIT AND CC-BY-NC-4.0``) is as strict as the strictest of them.
    """
    together = re.split(r"\s+and\s+", licence, flags=re.IGNORECASE)
    if len(together) > 1:
        return max(map(strictness, together))
    name = re.sub(r"[\s_]+", "-", licence.strip().lower()).removeprefix("licenseref-")
    ranks = [rank for rank, pattern in enumerate(STRICTNESS) if re.match(pattern, name)]
    return ranks[0] if ranks else len(STRICTNESS)


def strictest(licences: Iterable[str]) -> str | None:
    """The licence that asks most; None of none. What comes of several sources may be used as all of them allow."""
    return max(sorted(set(licences)), key=strictness, default=None)
