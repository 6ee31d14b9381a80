"""Which licences a text grants, by what it says; for copyright files that were written for people only."""

from __future__ import annotations

import re

PACKAGING = re.compile(r"^\s*(?:Packaging:|(?:The )?Debian packaging\b)", re.IGNORECASE | re.MULTILINE)
"""From here on a text is about the packaging, not about the music."""

URL = re.compile(r"creativecommons\.org/licenses/(by(?:-(?:nc|sa|nd))*)/(\d\.\d)", re.IGNORECASE)
TITLE = re.compile(
    r"(?:Creative\s+Commons\s+)Attribut\w+(?P<rest>(?:[\s-]+(?:Share-?\s?Alike|Non-?\s?Commercial|No-?\s?Deriv\w+))*)"
    r"(?:\s+licen[cs]e)?\s*,?\s*(?:version\s+)?(?P<version>\d\.\d)?",
    re.IGNORECASE,
)
ELEMENTS = re.compile(r"indicated\s+in\s+the\s+title\s+of\s+this\s+License:\s+(?P<rest>[A-Za-z, ]+)\.", re.IGNORECASE)
GNU = re.compile(r"GNU\s+(?P<kind>Affero|Lesser|Library)?\s*General\s+Public\s+Licen[cs]e", re.IGNORECASE)
EXPAT = re.compile(r"Permission\s+is\s+hereby\s+granted,\s+free\s+of\s+charge,\s+to\s+any\s+person", re.IGNORECASE)
DEDICATED = re.compile(
    r"\b(?:placed|released|dedicated|granted|put|donated|are|is)\s+(?:in|into|to)\s+the\s+public\s+domain",
    re.IGNORECASE,
)
RESERVED = re.compile(r"\ball\s+rights\s+reserved\b", re.IGNORECASE)
NOT_FREE = re.compile(r"\bnon-?\s?commercial\s+(?:use|purposes?)\b", re.IGNORECASE)
HOLDER = re.compile(r"(?:copyright\s*(?:\(c\)|©)|copyright\s+(?=\d{4})|©)\s*(?P<who>[^\n]+)", re.IGNORECASE)
AUTHOR = re.compile(
    r"^\s*Upstream\s+Author(?:s|\(s\))?:?[ \t]*\n?[ \t]*(?P<who>\S[^\n]*)$", re.IGNORECASE | re.MULTILINE
)
YEARS = re.compile(r"^[\d\s,/\u2013-]*(?:by\s+)?", re.IGNORECASE)


def licences_of(text: str) -> list[str]:
    """Debian's names of all licences that a text speaks of, sorted; what restricts use without a name among them."""
    text = _without_packaging(text)
    found = {f"CC-{kind.upper()}-{version}" for kind, version in URL.findall(text)}
    found |= {_creative_commons(match["rest"], match["version"]) for match in TITLE.finditer(text)}
    found |= {_creative_commons(match["rest"].replace("Attribution", ""), None) for match in ELEMENTS.finditer(text)}
    found |= {_gnu(match, text) for match in GNU.finditer(text)}
    if EXPAT.search(text):
        found.add("Expat")
    if RESERVED.search(text):
        found.add("all-rights-reserved")
    if NOT_FREE.search(text):
        found.add("no-commercial-use")
    if not found and DEDICATED.search(text):
        found.add("public-domain")
    versions = {name.rpartition("-")[0] for name in found if re.search(r"-\d\.\d$", name)}
    return sorted(found - versions)  # a version says more than none


def holders_of(text: str) -> list[str]:
    """Whose it is, by lines that say so; each once."""
    text = _without_packaging(text)
    found = [YEARS.sub("", match["who"]).strip(" ,.") for match in [*HOLDER.finditer(text), *AUTHOR.finditer(text)]]
    names = list(dict.fromkeys(name for name in found if re.search(r"[^\W\d_]{2}", name)))
    return [name for name in names if not any(other != name and other.startswith(name) for other in names)]


def _without_packaging(text: str) -> str:
    found = PACKAGING.search(text)
    return text[: found.start()] if found else text


def _creative_commons(rest: str, version: str | None) -> str:
    rest = re.sub(r"[\s-]", "", rest).casefold()
    parts = [
        short for long, short in (("noncommercial", "NC"), ("noderiv", "ND"), ("sharealike", "SA")) if long in rest
    ]
    return "-".join(["CC-BY", *parts, *([version] if version else [])])


def _gnu(match: re.Match[str], text: str) -> str:
    kind = {"affero": "AGPL", "lesser": "LGPL", "library": "LGPL"}.get((match["kind"] or "").casefold(), "GPL")
    around = text[max(0, match.start() - 200) : match.end() + 300]
    version = re.search(r"version\s+(\d)(?:\.\d)?|\bGPL-?(\d)", around, re.IGNORECASE)
    if version is None:
        return kind
    later = "+" if re.search(r"(?:or|at)\s[^.]{0,60}later\s+version", around, re.IGNORECASE) else ""
    return f"{kind}-{version[1] or version[2]}{later}"
