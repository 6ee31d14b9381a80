"""MMA, Musical MIDI Accompaniment: a song to MIDI by the styles of its standard library."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from musegen.data.rendering.songs import TONICS, Song, Style

FOLDERS = ("/usr/share/mma", "/usr/local/share/mma")
NO_GROOVE = re.compile(r"intro|end|fill|break|metro|^none$", re.IGNORECASE)
"""Names of parts of a song, and of what is no music."""


def find_mma(folder: str | None = None) -> str:
    """The folder of MMA.

    Raises:
        ValueError: if there is none.
    """
    for candidate in (folder,) if folder else (os.environ.get("MUSEGEN_MMA"), *FOLDERS):
        if candidate and (Path(candidate) / "lib" / "stdlib").is_dir():
            return str(candidate)
    where = folder or ", ".join(FOLDERS)
    raise ValueError(f"expected MMA with lib/stdlib in {where}, got none: install Debian's mma, or set MUSEGEN_MMA")


@lru_cache
def grooves(folder: str) -> list[Style]:
    """The styles of the standard library that have a variant to play."""
    styles = []
    for file in sorted((Path(folder) / "lib" / "stdlib").glob("*.mma")):
        text = file.read_text(encoding="latin-1")
        names = re.findall(r"^\s*DefGroove\s+(\S+)", text, re.MULTILINE | re.IGNORECASE)
        metre = re.search(r"^\s*Time\s+(\d+)", text, re.MULTILINE | re.IGNORECASE)
        playable = tuple(name for name in names if not NO_GROOVE.search(name))
        endings = tuple(name for name in names if re.search(r"end", name, re.IGNORECASE))
        if playable and not NO_GROOVE.search(file.stem):
            styles.append(Style(file.stem, int(metre[1]) if metre else 4, playable, endings))
    return styles


def play(folder: str, song: Song) -> bytes | None:
    """The MIDI file of a song; None where MMA refuses the groove.

    Raises:
        ValueError: if MMA itself is missing.
    """
    key = f"{TONICS[song.mode][song.tonic]} {song.mode}"
    lines = [f"RndSeed {song.performance}", f"Tempo {song.clock}", f"KeySig {key}", f"Groove {song.groove}"]
    body = list(song.chords)
    if song.ending is not None:
        body.insert(len(body) - 2, f"Groove {song.ending}")
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "song.mma", Path(scratch) / "song.mid"
        source.write_text("\n".join([*lines, *body]) + "\n", encoding="ascii")
        subprocess.run(
            [*_command(folder), source.name, "-f", target.name],  # MMA writes the name of its input into its output
            cwd=scratch,
            env={**os.environ, "HOME": scratch, "PYTHONHASHSEED": "0"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return target.read_bytes() if target.is_file() else None


def _command(folder: str) -> list[str]:
    script = Path(folder).absolute() / "mma.py"
    if script.is_file():
        return [sys.executable, str(script)]
    program = shutil.which("mma")
    if program is None:
        raise ValueError(f"expected mma.py in {folder} or the program mma on the path, got neither")
    return [program]
