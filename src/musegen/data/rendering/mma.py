"""MMA, Musical MIDI Accompaniment: a song to MIDI by the styles of its standard library."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from musegen.data.rendering.harmony import chord
from musegen.data.rendering.songs import Song


def script(song: Song) -> str:
    """A song in MMA's language, one bar a line."""
    rest = " /" * ((song.beats + 1) // 2 - 1)
    lines = [f"RndSeed {song.performance}", f"Tempo {song.clock:g}", f"KeySig {song.key}"]
    for section in song.sections:
        bars = [f"{rest} ".join(chord(song.tonic, degree).name for degree in bar) for bar in section.bars]
        lines.append(f"Groove {section.groove}")
        if section.fill is not None:
            bars.insert(len(bars) - 1, f"Groove {section.fill}")
        lines += bars
    return "\n".join(lines) + "\n"


def play(folder: str, song: Song) -> bytes | None:
    """The MIDI file of a song; None where MMA refuses the groove.

    Raises:
        ValueError: if MMA itself is missing.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source, target = Path(scratch) / "song.mma", Path(scratch) / "song.mid"
        source.write_text(script(song), encoding="ascii")
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
    program = Path(folder).absolute() / "mma.py"
    if program.is_file():
        return [sys.executable, str(program)]
    installed = shutil.which("mma")
    if installed is None:
        raise ValueError(f"expected mma.py in {folder} or the program mma on the path, got neither")
    return [installed]
