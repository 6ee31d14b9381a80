"""Music as notes in seconds, one part for each instrument, read from MIDI."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

from musegen.data.rendering.instruments import HAND, KIT, KIT_KEYS, name_of

DRUM_CHANNEL = 9
ROLES = {"drum": "drums", "bass": "bass", "walk": "bass", "lead": "lead"}


@dataclass(frozen=True, order=True)
class Note:
    """One note.

    Args:
        start: in seconds.
        duration: likewise.
        pitch: MIDI's number; of drums, the key.
        velocity: 1 … 127.
    """

    start: float
    duration: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """What one player plays.

    Args:
        role: ``drums``, ``bass``, ``chords``, ``pad`` or ``lead``.
        program: General MIDI's instrument; of drums, the kit.
        notes: in order.
    """

    role: str
    program: int
    notes: tuple[Note, ...]

    @property
    def instrument(self) -> str:
        """What one calls it: of drums, "drums" for a kit and "percussion" for what is shaken and struck by hand."""
        if self.role != "drums":
            return name_of(self.program)
        kit = sum(note.pitch in KIT_KEYS for note in self.notes)
        return KIT if 2 * kit >= len(self.notes) else HAND

    def presence(self, seconds: float) -> float:
        """The share of a piece's seconds in which it plays, 0 … 1."""
        length = max(1, math.ceil(seconds))
        busy = {at for note in self.notes for at in range(int(note.start), int(note.start + note.duration) + 1)}
        return len([at for at in busy if at < length]) / length


def read_midi(midi: bytes, beat: float) -> list[Part]:
    """The parts of a MIDI file, its own tempo left aside.

    Args:
        midi: a file of MMA's, whose tracks are named after what they do.
        beat: seconds that a quarter note takes.

    Returns:
        Parts by role and program, those of several tracks of MMA's with the same two as one.
    """
    try:
        import mido
    except ImportError:
        raise ValueError("reading MIDI needs mido: pip install mido") from None

    file = mido.MidiFile(file=BytesIO(midi))
    notes: defaultdict[tuple[str, int], list[Note]] = defaultdict(list)
    for track in file.tracks:
        for role, program, note in _notes(track, beat / file.ticks_per_beat):
            notes[role, program].append(note)
    return [Part(*key, tuple(sorted(notes[key]))) for key in sorted(notes)]


def shift(part: Part, program: int, low: int, high: int) -> Part:
    """A part on another instrument, notes out of reach moved by octaves."""
    moved = (replace(note, pitch=within(note.pitch, low, high)) for note in part.notes)
    return Part(part.role, program, tuple(sorted(moved)))


def within(pitch: int, low: int, high: int) -> int:
    """The same tone in the octave that lies within reach and next to it."""
    if pitch < low:
        return pitch + 12 * math.ceil((low - pitch) / 12)
    return pitch - 12 * math.ceil((pitch - high) / 12) if pitch > high else pitch


def together(parts: Sequence[Part]) -> Part:
    """Parts as one, of the first one's role and program; a note that two of them strike at once sounds once."""
    notes: dict[tuple[int, int], Note] = {}
    for note in sorted(note for part in parts for note in part.notes):
        notes.setdefault((round(note.start * 100), note.pitch), note)
    return Part(parts[0].role, parts[0].program, tuple(sorted(notes.values())))


def _notes(track: Any, second: float) -> list[tuple[str, int, Note]]:
    """Notes of a track with their role and program."""
    kind, _, more = track.name.lower().partition("-")
    role = ROLES.get(kind, "pad" if "sus" in more else "chords")
    now, program, found = 0, 0, []
    open_notes: dict[int, list[tuple[int, int, int]]] = {}
    for message in track:
        now += message.time
        if message.type == "program_change":
            program = message.program
        elif message.type in ("note_on", "note_off"):
            role = "drums" if message.channel == DRUM_CHANNEL else role
            started = open_notes.setdefault(message.note, [])
            if message.type == "note_on" and message.velocity > 0:
                started.append((now, message.velocity, program))
            elif started:
                start, velocity, with_program = started.pop(0)
                note = Note(start * second, (now - start) * second, message.note, velocity)
                found.append((role, with_program, note))
    return found
