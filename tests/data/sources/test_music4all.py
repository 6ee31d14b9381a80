"""Music4All with its true tables and its ugly rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpora import noise, put_audio, put_table
from musegen.data.ingest.pack import Packing, pack
from musegen.data.ingest.splits import SplitRule
from musegen.data.random_access import ShardFolder
from musegen.data.sources.music4all import Music4All
from musegen.data.verify import verify_folder

METADATA = ["id", "spotify_id", "popularity", "release", "danceability", "energy", "key", "mode", "valence", "tempo"]
METADATA += ["duration_ms"]
INFORMATION = ["id", "artist", "song", "album_name"]


def track(number: int) -> str:
    return f"{number:02d}YS0zIhuYCsfdJe"


def put_corpus(folder: Path, artists: list[str]) -> list[str]:
    """A track of each artist, in true tables, with audio."""
    tracks = [track(number) for number in range(len(artists))]
    measured = ["0" * 22, "60.0", "2009", "0.4", "0.9", "2", "0", "0.1", "139.6", "217000"]
    put_table(
        folder / "id_information.csv",
        [INFORMATION, *([one, artist, f"Song {one}", "Album"] for one, artist in zip(tracks, artists, strict=True))],
    )
    put_table(folder / "id_genres.csv", [["id", "genres"], *([one, "rock,indie pop"] for one in tracks)])
    put_table(
        folder / "id_tags.csv", [["id", "tags"], *([one, "rock,guitar,the band,seen live,00s"] for one in tracks)]
    )
    put_table(folder / "id_metadata.csv", [METADATA, *([one, *measured] for one in tracks)])
    put_table(folder / "id_lang.csv", [["id", "lang"], *([one, "en"] for one in tracks)])
    put_table(folder / "listening_history.csv", [["user", "song", "timestamp"]])
    for number, one in enumerate(tracks):
        put_audio(folder / "audios" / f"{one}.mp3", 2, 44100, 2, seed=number, format="MP3")
    return tracks


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)


def test_captions_are_built_of_the_tables(tmp_path: Path) -> None:
    put_corpus(tmp_path, ["The Band"])
    source = Music4All(str(tmp_path))
    captions = source.pieces[0].captions
    assert captions["main"] == (
        "an energetic, melancholic, fast rock and indie pop song at 140 bpm in D minor sung in English"
    )
    assert captions["tags"] == "rock, guitar, 00s"
    assert len(captions) == 6
    assert not any("Band" in text or "Song " in text for text in captions.values())
    said = source.pieces[0].facts
    assert (said["artist"], said["album"], said["key"], said["tempo"]) == ("The Band", "Album", "D minor", 139.6)
    assert said["licence"] == "LicenseRef-Music4All-research"


def test_no_artist_is_in_two_splits(tmp_path: Path) -> None:
    names = ["Beyoncé", "BEYONCE", "Beyoncé feat. Jay-Z", "Other", "other ", "Third"]
    put_corpus(tmp_path / "corpus", names)
    source = Music4All(str(tmp_path / "corpus"))
    groups = [source.group(number) for number in range(6)]
    assert groups == ["beyonce"] * 3 + ["other"] * 2 + ["third"]
    pack(source, tmp_path / "out", Packing(SplitRule(0.4, 0.3, seed=1)))
    sides: dict[str, set[str]] = {}
    for split in ("train", "val", "test"):
        folder = ShardFolder(tmp_path / "out" / split, ["audio"])
        for place in range(len(folder)):
            sides.setdefault(folder[place].facts["group"], set()).add(split)
    assert sorted(sides) == ["beyonce", "other", "third"]
    assert all(len(splits) == 1 for splits in sides.values())
    assert len(set.union(*sides.values())) > 1


def ugly_corpus(folder: Path) -> list[str]:
    tracks = put_corpus(folder, [f"Artist {number}" for number in range(12)])
    audios = folder / "audios"
    (audios / f"{tracks[1]}.mp3").unlink()
    (audios / f"{tracks[2]}.mp3").write_bytes(b"")
    (audios / f"{tracks[3]}.mp3").write_bytes(b"<html>404</html>")
    soundfile.write(audios / f"{tracks[4]}.mp3", np.zeros((44100 * 2, 2)), 44100, format="MP3")
    soundfile.write(audios / f"{tracks[5]}.mp3", noise(0.3), 44100, format="MP3")
    put_audio(audios / f"{tracks[6]}.mp3", 2, 22050, 1, seed=6, format="MP3")
    put_audio(audios / f"{tracks[10]}.mp3", 2, 44100, 2, seed=10, format="WAV", subtype="PCM_U8")
    whole = (audios / f"{tracks[11]}.mp3").read_bytes()
    (audios / f"{tracks[11]}.mp3").write_bytes(whole[: len(whole) * 3 // 4])
    information = (folder / "id_information.csv").read_text().splitlines()
    information[8] = f"{tracks[7]}\t\tno artist\tAlbum"
    information[9] = f'{tracks[8]}\tArtist 8\t"Never closed\tAlbum'
    (folder / "id_information.csv").write_text("\n".join(information) + "\n")
    append(folder / "id_information.csv", f"{tracks[0]}\tSomebody else\tAgain\tAlbum\n".encode())
    append(folder / "id_information.csv", b"0NLYhErEhErEhErE\tArtist\tSong\tAlbum\n")
    append(folder / "id_information.csv", b"too\tfew\n../../etc\tA\tB\tC\n")
    genres = (folder / "id_genres.csv").read_text().splitlines()
    genres[10] = f"{tracks[9]}\t"
    (folder / "id_genres.csv").write_bytes("\n".join(genres).encode() + b"\nLatin1Latin1Lati\tchans\xf3n\n")
    tags = [line for line in (folder / "id_tags.csv").read_text().splitlines() if tracks[9] not in line]
    (folder / "id_tags.csv").write_text("\n".join([*tags, f"{tracks[9]}\t"]))
    measured = (folder / "id_metadata.csv").read_text().splitlines()
    measured[10] = "\t".join([tracks[9], *["nan"] * 10])
    (folder / "id_metadata.csv").write_text("\n".join(measured))
    languages = [line for line in (folder / "id_lang.csv").read_text().splitlines() if tracks[9] not in line]
    (folder / "id_lang.csv").write_text("\n".join([*languages, f"{tracks[9]}\t"]))
    return tracks


def test_ugly_rows_are_named_and_the_others_packed(tmp_path: Path) -> None:
    tracks = ugly_corpus(tmp_path / "music4all")
    source = Music4All(str(tmp_path / "music4all"))
    report = pack(source, tmp_path / "out", Packing(SplitRule(0, 0)))
    skipped = {kind: [skip.name for skip in skips] for kind, skips in report.kinds().items()}
    assert skipped == {
        "no audio file": [tracks[1]],
        "audio file is empty": [tracks[2]],
        "audio cannot be decoded": [tracks[3]],
        "audio is silent": [tracks[4]],
        "audio is too short": [tracks[5]],
        "no artist": [tracks[7]],
        "nothing to make a caption of": [tracks[9]],
        "id is there already": [f"id_information.csv:14 ({tracks[0]})"],
        "line cannot be read": ["id_information.csv:16"],
        "no id": ["id_information.csv:17"],
        "no row in id_genres.csv and id_tags.csv and id_metadata.csv and id_lang.csv": ["0NLYhErEhErEhErE"],
        "no row in id_information.csv and id_tags.csv and id_metadata.csv and id_lang.csv": ["Latin1Latin1Lati"],
    }
    assert report.kept == {"train": 5}
    assert dict(report.noted) == {
        "mono": [tracks[6]],
        "resampled from 22050 Hz": [tracks[6]],
        "8 bits": [tracks[10]],
        "the file is cut off": [tracks[11]],
    }
    assert list(report.dull) == [tracks[6]]
    assert verify_folder(tmp_path / "out" / "train").problems == []
    folder = ShardFolder(tmp_path / "out" / "train", ["audio"])
    facts = {folder[place].key: folder[place].facts for place in range(len(folder))}
    assert facts[f"m4a-{tracks[0]}"]["artist"] == "Artist 0"
    assert facts[f"m4a-{tracks[8]}"]["artist"] == "Artist 8"
    assert facts[f"m4a-{tracks[0]}"]["album"] == "Album"


def test_tables_may_be_missing_only_where_captions_can_do_without(tmp_path: Path) -> None:
    put_corpus(tmp_path, ["A"])
    (tmp_path / "id_tags.csv").unlink()
    (tmp_path / "id_lang.csv").unlink()
    assert "sung" not in Music4All(str(tmp_path)).pieces[0].captions["main"]
    (tmp_path / "id_metadata.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"id_metadata\.csv: expected a tab-separated table with the column id"):
        Music4All(str(tmp_path))
    (tmp_path / "id_genres.csv").unlink()
    with pytest.raises(ValueError, match=r"expected id_genres\.csv, got none"):
        Music4All(str(tmp_path))
    with pytest.raises(OSError, match="expected the folder of Music4All"):
        Music4All(str(tmp_path / "nowhere"))
