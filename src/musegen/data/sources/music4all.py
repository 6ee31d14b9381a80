"""Music4All: 30-second clips of songs, with genres, listeners' tags and measured features, but without captions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musegen.data.ingest.audio import AudioRules
from musegen.data.ingest.listed import ListedSource, Piece
from musegen.data.ingest.problems import Skip
from musegen.data.ingest.sentences import Known, describe, key_name
from musegen.data.ingest.tables import read_table
from musegen.data.ingest.texts import clean, key_of, number, same_artist, several

LICENCE = "LicenseRef-Music4All-research"
"""The corpus is given out for research on request; its clips are parts of published songs."""

INFORMATION, GENRES, TAGS, METADATA, LANGUAGES = "information", "genres", "tags", "metadata", "lang"
TABLES = (INFORMATION, GENRES, TAGS, METADATA, LANGUAGES)
NEEDED = (INFORMATION, GENRES, METADATA)
NO_MUSIC = frozenset({"seen live", "favorites", "favourites", "favorite songs", "my favorites", "love", "awesome"})
"""Tags about listeners, not about what is heard."""
MODES = {0: "minor", 1: "major"}


class Music4All(ListedSource):
    """Music4All, on request from its authors.

    Santana et al., "Music4All: A New Music Database and Its Applications" (2020),
    https://doi.org/10.1109/IWSSIP48289.2020.9145170.

    Captions are built of genres, tags, tempo, key, mode, energy, valence and language, several of a track; see
    `musegen.data.ingest.sentences.describe`. Titles and names of artists are not in them. Tracks are grouped by artist.
    A track that lacks a row in one of the tables, or its audio, is left out.

    Args:
        folder: holds ``id_information.csv``, ``id_genres.csv``, ``id_metadata.csv`` (tab-separated), perhaps
            ``id_tags.csv`` and ``id_lang.csv``, and ``audios/``.
        sample_rate: to resample to, Hz; null keeps the files' own.
        min_seconds: shorter clips are left out.
    """

    def __init__(self, folder: str, sample_rate: int | None = 44100, min_seconds: float = 1.0) -> None:
        self.folder = Path(folder)
        super().__init__(AudioRules(sample_rate, min_seconds))

    def list_pieces(self, lost: list[Skip]) -> list[Piece]:
        """See `ListedSource`."""
        if not self.folder.is_dir():
            raise FileNotFoundError(2, "expected the folder of Music4All, got none", str(self.folder))
        tables = {}
        for name in TABLES:
            path = self.folder / f"id_{name}.csv"
            if path.is_file():
                tables[name] = self._table(path, lost)
            elif name in NEEDED:
                raise ValueError(f"{self.folder}: expected {path.name}, got none")
        tracks = sorted({track for table in tables.values() for track in table})
        pieces = []
        for track in tracks:
            rows = {name: table[track] for name, table in tables.items() if track in table}
            missing = [f"id_{name}.csv" for name in tables if name not in rows]
            artist = clean(rows.get(INFORMATION, {}).get("artist"))
            if missing:
                lost.append(Skip(track, f"no row in {' and '.join(missing)}"))
            elif artist is None:
                lost.append(Skip(track, "no artist", "it cannot be kept apart from others of the same artist"))
            elif not (captions := describe(known(rows))):
                lost.append(Skip(track, "nothing to make a caption of"))
            else:
                audio = str(self.folder / "audios" / f"{track}.mp3")
                pieces.append(Piece(key_of(track, "m4a-"), track, same_artist(artist), [audio], captions, facts(rows)))
        return pieces

    @staticmethod
    def _table(path: Path, lost: list[Skip]) -> dict[str, dict[str, str]]:
        """A table by id; of several rows with one id the first."""
        rows: dict[str, dict[str, str]] = {}
        for name, row in read_table(path, lost, "\t"):
            if "id" not in row:
                raise ValueError(f"{path}: expected a tab-separated table with the column id, got {', '.join(row)}")
            track = row.pop("id").strip()
            if not track or "/" in track or track.startswith("."):
                lost.append(Skip(name, "no id"))
            elif track in rows:
                lost.append(Skip(f"{name} ({track})", "id is there already"))
            else:
                rows[track] = row
        return rows


def known(rows: Mapping[str, Mapping[str, str]]) -> Known:
    """What the tables say of a track's music."""
    measured = rows.get(METADATA, {})
    mode = number(measured.get("mode"))
    return Known(
        genres=several(rows.get(GENRES, {}).get("genres")),
        tags=_tags(rows),
        tempo=number(measured.get("tempo")),
        key=key_name(number(measured.get("key")), mode),
        mode=MODES.get(int(mode)) if mode in MODES else None,
        energy=_share(measured.get("energy")),
        valence=_share(measured.get("valence")),
        language=_language(rows.get(LANGUAGES, {}).get("lang")),
    )


def facts(rows: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What travels with a track: all that is said of its music, and whose it is."""
    music = known(rows)
    found: dict[str, Any] = {name: value for name, value in vars(music).items() if value not in (None, (), [])}
    named = {name: clean(rows[INFORMATION].get(name)) for name in ("artist", "song", "album_name")}
    found |= {name.removesuffix("_name"): value for name, value in named.items() if value}
    danceability = _share(rows.get(METADATA, {}).get("danceability"))
    found |= {} if danceability is None else {"danceability": danceability}
    return found | {"source": "music4all", "licence": LICENCE}


def _tags(rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Listeners' words about the music: not whose it is, nor that they like it."""
    artist = same_artist(clean(rows.get(INFORMATION, {}).get("artist")) or "")
    tags = several(rows.get(TAGS, {}).get("tags"))
    return [tag for tag in tags if same_artist(tag) != artist and tag.casefold() not in NO_MUSIC]


def _share(value: Any) -> float | None:
    """A number from 0 to 1."""
    share = number(value)
    return share if share is not None and 0 <= share <= 1 else None


def _language(value: Any) -> str | None:
    """A language's code; ``instrumental`` also where the corpus spells it ``INTRUMENTAL``."""
    language = clean(value)
    if language is None:
        return None
    return "instrumental" if language.casefold() in ("instrumental", "intrumental") else language.casefold()
