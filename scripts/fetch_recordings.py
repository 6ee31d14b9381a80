"""Fetch recorded music from Debian's packages of games: what is under the licences asked for, with an attribution file.

Needs apt-get and dpkg-deb (any Debian or Ubuntu; ``apt-get update`` once before); nothing is installed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import soundfile

from musegen.arguments import call
from musegen.data.ingest.debian import PACKAGES, fetch
from musegen.data.sources.recordings import DEFAULT_LICENCES, Recordings, attribution
from musegen.files import write_whole
from musegen.mistakes import explain, is_mistake


def fetch_recordings(
    packages: list[str], out: Path = Path("data/recordings/packages"), licences: list[str] | None = None
) -> None:
    """Fetch music into a folder for each package, and write ATTRIBUTION.md beside them.

    Args:
        packages: names; none fetches all ten that are known, 2.8 GB in all.
        out: folder.
        licences: to keep: CC-BY, PD, Expat (the default), CC-BY-SA, GPL …
    """
    asked = licences or list(DEFAULT_LICENCES)
    for package in packages or PACKAGES:
        fetched = fetch(package, out, asked)
        print(
            f"{package} {fetched.version}: {fetched.kept} tracks kept, {fetched.others} under other licences",
            flush=True,
        )
    source = Recordings(str(out), asked, min_seconds=0)
    write_whole({out / "ATTRIBUTION.md": attribution(source).encode()})
    minutes: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for piece in source.pieces:
        length = soundfile.info(piece.audio[0]).duration / 60
        minutes[piece.facts["package"], piece.facts["licence"]].append(length)
    for (package, licence), lengths in sorted(minutes.items()):
        print(f"{package}, {licence}: {len(lengths)} tracks, {sum(lengths):.1f} minutes")
    total = sum(sum(lengths) for lengths in minutes.values())
    print(f"{out}: {len(source)} tracks, {total:.1f} minutes; attribution in {out / 'ATTRIBUTION.md'}")


if __name__ == "__main__":
    try:
        call(fetch_recordings, sys.argv[1:], "fetch_recordings.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"fetch_recordings: {explain(error)}")
