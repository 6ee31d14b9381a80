"""Tags inside audio files, such as title, artist, genre and licence."""

from __future__ import annotations

from pathlib import Path

import soundfile

from musegen.data.ingest.texts import clean

NAMES = ("title", "artist", "album", "date", "genre", "license", "copyright", "comment")
NO_GENRES = frozenset({"music", "other", "soundtrack", "sound fx", "default", "misc", "game", "blues (0)"})
"""What programs write where nobody chose a genre, or what says nothing of the music."""


def read_tags(path: Path) -> dict[str, str]:
    """The tags that libsndfile knows, as far as they say something; none of a file that is missing or no audio."""
    try:
        with open(path, "rb") as stream, soundfile.SoundFile(stream) as file:
            found = file.copy_metadata()
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError):
        return {}
    tags = {name: text for name in NAMES if (text := clean(found.get(name)))}
    if tags.get("genre", "").casefold() in NO_GENRES:
        del tags["genre"]
    return tags
