"""Names of licences: as Debian writes them, as SPDX does, and as one asks for them."""

from __future__ import annotations

import re
from collections.abc import Collection

PUBLIC_DOMAIN = "LicenseRef-public-domain"
NAMES = {
    "expat": "MIT",
    "mit": "MIT",
    "pd": PUBLIC_DOMAIN,
    "public-domain": PUBLIC_DOMAIN,
    "cc0": "CC0-1.0",
    "gpl": "GPL-1.0-or-later",
    "lgpl": "LGPL-2.0-or-later",
    "zlib": "Zlib",
}
"""By Debian's names in small letters."""

_GNU = re.compile(r"(A?GPL|LGPL|GFDL)-(\d)(?:\.(\d))?(\+)?", re.IGNORECASE)
_CC = re.compile(r"CC-(BY(?:-(?:NC|SA|ND))*)(?:-(\d)(?:\.(\d))?)?", re.IGNORECASE)
_OR, _AND = re.compile(r"\s*,?\s+or\s+|\s*\|\s*", re.IGNORECASE), re.compile(r"\s*,?\s+and\s+|\s*,\s*", re.IGNORECASE)


def spdx(name: str) -> str:
    """The SPDX name of a licence that Debian names: ``Expat`` is ``MIT``, ``GPL-2+`` is ``GPL-2.0-or-later``."""
    name = " ".join(name.split())
    if name.casefold() in NAMES:
        return NAMES[name.casefold()]
    if found := _GNU.fullmatch(name):
        kind, major, minor, later = found.groups()
        return f"{kind.upper()}-{major}.{minor or 0}-{'or-later' if later else 'only'}"
    if found := _CC.fullmatch(name):
        kind, major, minor = found.groups()
        return f"CC-{kind.upper()}" + (f"-{major}.{minor or 0}" if major else "")
    return name


def family(name: str) -> str:
    """What one asks for: ``CC-BY`` for any version of it, ``PD`` for the public domain and CC0, ``GPL`` for any GPL."""
    name = spdx(name)
    if name in (PUBLIC_DOMAIN, "CC0-1.0"):
        return "PD"
    if found := _CC.fullmatch(name):
        return f"CC-{found[1].upper()}"
    if found := re.fullmatch(r"(A?GPL|LGPL|GFDL)-\d\.\d-(?:only|or-later)", name):
        return found[1]
    return name


def allowed(expression: str, asked: Collection[str]) -> str | None:
    """What something may be used under.

    Args:
        expression: as in a copyright file: ``GPL-2+ or CC-BY-SA-3.0``; of what is joined by ``and`` all is needed.
        asked: names or families.

    Returns:
        SPDX names joined by ``AND``; None if nothing that is asked for allows it.
    """
    wanted = {spdx(name) for name in asked} | {family(name) for name in asked if family(name) == name or name == "PD"}
    for alternative in _OR.split(expression.strip()):
        names = [spdx(name) for name in _AND.split(alternative) if name.strip()]
        if names and all(name in wanted or family(name) in wanted for name in names):
            return " AND ".join(sorted(set(names)))
    return None


def shown(expression: str) -> str:
    """An expression in SPDX names."""
    return " OR ".join(
        " AND ".join(spdx(name) for name in _AND.split(alternative) if name.strip())
        for alternative in _OR.split(expression.strip())
    )
