"""MIDI to audio through a soundfont."""

from __future__ import annotations

import os
import random
from collections import Counter
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FILES = (
    "/usr/share/sounds/sf3/MuseScore_General_Lite.sf3",
    "/usr/share/sounds/sf3/MuseScore_General.sf3",
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
)
DRUMS = 9
VOLUME, PAN = 7, 10
LOUDNESS = 0.1
"""Root mean square that a piece is brought to, unless it would clip."""

FAMILIES = (
    "piano", "chromatic percussion", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe",
    "synth lead", "synth pad", "synth effects", "ethnic", "percussive", "sound effects",
)  # fmt: skip
PROGRAMS = {
    0: "piano", 1: "bright piano", 2: "electric grand piano", 3: "honky-tonk piano", 4: "electric piano",
    5: "electric piano", 6: "harpsichord", 7: "clavinet", 8: "celesta", 9: "glockenspiel", 10: "music box",
    11: "vibraphone", 12: "marimba", 13: "xylophone", 14: "tubular bells", 16: "drawbar organ", 17: "percussive organ",
    18: "rock organ", 19: "church organ", 21: "accordion", 22: "harmonica", 24: "nylon guitar", 25: "steel guitar",
    26: "jazz guitar", 27: "clean electric guitar", 28: "muted guitar", 29: "overdriven guitar",
    30: "distortion guitar", 32: "acoustic bass", 33: "electric bass", 34: "picked bass", 35: "fretless bass",
    36: "slap bass", 37: "slap bass", 38: "synth bass", 39: "synth bass", 40: "violin", 41: "viola", 42: "cello",
    43: "contrabass", 44: "tremolo strings", 45: "pizzicato strings", 46: "harp", 47: "timpani", 48: "strings",
    49: "slow strings", 50: "synth strings", 52: "choir", 53: "voices", 56: "trumpet", 57: "trombone", 58: "tuba",
    59: "muted trumpet", 60: "french horn", 61: "brass section", 64: "soprano sax", 65: "alto sax", 66: "tenor sax",
    67: "baritone sax", 68: "oboe", 71: "clarinet", 72: "piccolo", 73: "flute", 75: "pan flute", 78: "whistle",
    104: "sitar", 105: "banjo", 106: "shamisen", 110: "fiddle", 114: "steel drums",
}  # fmt: skip


def find_soundfont(file: str | None = None) -> str:
    """A soundfont.

    Raises:
        ValueError: if there is none.
    """
    for candidate in (file,) if file else (os.environ.get("MUSEGEN_SOUNDFONT"), *FILES):
        if candidate and Path(candidate).is_file():
            return str(candidate)
    where = file or ", ".join(FILES)
    raise ValueError(
        f"expected a soundfont at {where}, got none: install Debian's musescore-general-soundfont-small, "
        "or set MUSEGEN_SOUNDFONT"
    )


def is_free(file: str) -> bool:
    """Whether a soundfont is one of those whose licence is known to ask nothing of recordings of it."""
    return Path(file).name in {Path(known).name for known in FILES}


def instruments(midi: bytes) -> list[str]:
    """The instruments that play most notes, at most four, loud ones first; drums are "drums"."""
    try:
        import mido
    except ImportError:
        raise ValueError("reading MIDI needs mido: pip install mido") from None

    program = [0] * 16
    notes: Counter[Any] = Counter()
    for message in mido.merge_tracks(mido.MidiFile(file=BytesIO(midi)).tracks):
        if message.type == "program_change":
            program[message.channel] = message.program
        elif message.type == "note_on" and message.velocity > 0:
            number = program[message.channel]
            name = "drums" if message.channel == DRUMS else PROGRAMS.get(number, FAMILIES[number // 8])
            notes[name] += 1
    return [name for name, _ in notes.most_common(4)]


def render(midi: bytes, soundfont: str, sample_rate: int, seconds: float, chance: random.Random) -> Tensor | None:
    """Render MIDI with a random place in the stereo field for each channel.

    Args:
        midi: a MIDI file.
        soundfont: an .sf2 or .sf3 file.
        sample_rate: Hz.
        seconds: where it is cut.
        chance: of the places.

    Returns:
        Audio ``[2, samples]``, float32; None where hardly anything sounds.

    Raises:
        ValueError: if the synthesizer is missing, or the soundfont cannot be read.
    """
    tinysoundfont: Any = _tinysoundfont()
    synth, font = _synth(soundfont, sample_rate)
    for channel in range(16):
        synth.program_select(channel, font, 0, 0, channel == DRUMS)
        synth.control_change(channel, VOLUME, 100)
        synth.control_change(channel, PAN, 64 if channel == DRUMS else chance.randint(30, 98))
    sequencer = tinysoundfont.Sequencer(synth)
    sequencer.add(tinysoundfont.midi.load_memory(midi, filter=_is_pan, persistent=False))
    wanted, parts, count, block = int(seconds * sample_rate), [], 0, 2048
    while count < wanted:
        part = np.frombuffer(bytes(synth.generate(block)), dtype=np.float32)
        parts.append(part)
        count += block
        if sequencer.is_empty() and np.abs(part).max() < 1e-4:
            break
    audio = np.concatenate(parts).reshape(-1, 2)[:wanted].T
    loudness = float(np.sqrt((audio**2).mean()))
    if loudness < 1e-4 or audio.shape[1] < 2 * sample_rate:
        return None
    gain = min(LOUDNESS / loudness, 0.95 / float(np.abs(audio).max()))
    return torch.from_numpy(np.ascontiguousarray(audio * gain, dtype=np.float32))


def _is_pan(event: Any) -> bool:
    """Whether a style itself chooses a place in the stereo field, which would undo ours."""
    return getattr(event.action, "control", None) == PAN


def _synth(soundfont: str, sample_rate: int) -> tuple[Any, int]:
    """A synthesizer that has played nothing yet, and its soundfont: else a song would depend on the one before it."""
    synth = _tinysoundfont().Synth(samplerate=sample_rate, gain=-6)
    return synth, synth.sfload(_soundfont(soundfont))  # of a loaded soundfont it makes a copy that shares the samples


@lru_cache(maxsize=1)
def _soundfont(file: str) -> Any:
    """One soundfont a process: loading it takes seconds."""
    synth = _tinysoundfont().Synth()
    try:
        return synth.soundfonts[synth.sfload(file)]
    except (RuntimeError, KeyError):
        raise ValueError(f"{file}: expected a soundfont (.sf2 or .sf3), got something else") from None


def _tinysoundfont() -> Any:
    try:
        import tinysoundfont
        import tinysoundfont.midi
    except ImportError:
        raise ValueError("rendering needs tinysoundfont: pip install --no-deps tinysoundfont==0.3.7") from None
    return tinysoundfont
