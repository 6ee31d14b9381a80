"""A page to look at and listen to: held-out songs, what the codec gives back of them, what their captions make."""

from __future__ import annotations

import html
import sys
from pathlib import Path

from musegen.arguments import call
from musegen.files import write_whole
from musegen.metrics.music import Piece, decode, read_music
from musegen.metrics.spectrograms import Picture, draw
from musegen.mistakes import explain, is_mistake

STYLE = "body{font:15px sans-serif;max-width:80em;margin:2em auto}img{max-width:100%}audio{width:22em}td{padding:.3em}"


def picture_page(
    songs: Path, given_back: Path, clips: Path, out: Path, count: int = 6, seconds: float | None = None
) -> None:
    """Write OUT/spectrograms.png and OUT/index.html, with the sounds beside them.

    Args:
        songs: shards of real music.
        given_back: what the codec made of them, as musegen evaluate --codec … --keep writes it.
        clips: what a model made of their captions, as sample_songs.py writes it.
        out: folder of the page.
        count: songs.
        seconds: of each, at most.
    """
    kinds = ("real", "given back by the codec", "generated")
    rows = together(read_music(songs), given_back, clips)
    if not rows:
        raise ValueError(f"{clips}: expected clips of the songs in {songs}, got none")
    rows = [rows[len(rows) * number // min(count, len(rows))] for number in range(min(count, len(rows)))]
    pictures, lines, files = [], [], {}
    for number, row in enumerate(rows):
        caption, tempo = row[0].caption, row[0].wanted.tempo
        sounds = [(piece, piece.content()) for piece in row]
        titles = [f"{kind}: {caption}" if kind == "real" else kind for kind in kinds]
        pictures.append(
            [
                Picture(title, decode(content, piece.key, seconds), tempo)
                for title, (piece, content) in zip(titles, sounds, strict=True)
            ]
        )
        cells = []
        for place, (kind, (_, content)) in enumerate(zip(kinds, sounds, strict=True)):
            name = f"{number}_{place}.flac"
            files[out / name] = content
            cells.append(f'<td>{kind}<br><audio controls preload="none" src="{name}"></audio></td>')
        lines.append(f"<p>{html.escape(caption)}</p><table><tr>{''.join(cells)}</tr></table>")
    draw(pictures, out / "spectrograms.png")
    page = f'<!doctype html><meta charset="utf-8"><title>real, given back, generated</title><style>{STYLE}</style>'
    page += f'<img src="spectrograms.png" alt="mel spectrograms">{"".join(lines)}\n'
    write_whole({**files, out / "index.html": page.encode()})
    print(out / "index.html")


def together(songs: list[Piece], given_back: Path, clips: Path) -> list[list[Piece]]:
    """Each song with what the codec and the model made of it, where both did."""
    returned = {Path(piece.key).stem: piece for piece in read_music(given_back)}
    made = {Path(piece.key).stem.rpartition("_")[0]: piece for piece in reversed(read_music(clips))}
    return [[song, returned[song.key], made[song.key]] for song in songs if song.key in returned and song.key in made]


if __name__ == "__main__":
    try:
        call(picture_page, sys.argv[1:], "picture_page.py")
    except Exception as error:
        if not is_mistake(error):
            raise
        sys.exit(f"picture_page: {explain(error)}")
