"""General MIDI's instruments: what one calls them, how far they reach, and which may stand in for another."""

from __future__ import annotations

NAMES = (
    "piano", "bright piano", "electric grand piano", "honky-tonk piano", "electric piano", "electric piano",
    "harpsichord", "clavinet", "celesta", "glockenspiel", "music box", "vibraphone", "marimba", "xylophone",
    "tubular bells", "dulcimer", "drawbar organ", "percussive organ", "rock organ", "church organ",
    "reed organ", "accordion", "harmonica", "bandoneon", "nylon guitar", "steel guitar", "jazz guitar",
    "clean electric guitar", "muted guitar", "overdriven guitar", "distortion guitar", "guitar harmonics",
    "acoustic bass", "electric bass", "picked bass", "fretless bass", "slap bass", "slap bass", "synth bass",
    "synth bass", "violin", "viola", "cello", "contrabass", "tremolo strings", "pizzicato strings", "harp",
    "timpani", "strings", "slow strings", "synth strings", "synth strings", "choir", "voices", "synth voice",
    "orchestra hit", "trumpet", "trombone", "tuba", "muted trumpet", "french horn", "brass section",
    "synth brass", "synth brass", "soprano sax", "alto sax", "tenor sax", "baritone sax", "oboe",
    "english horn", "bassoon", "clarinet", "piccolo", "flute", "recorder", "pan flute", "blown bottle",
    "shakuhachi", "whistle", "ocarina", "square synth", "sawtooth synth", "calliope synth", "chiff synth",
    "charang synth", "synth voices", "fifths synth", "bass synth", "synth pad", "warm pad", "polysynth",
    "choir pad", "bowed pad", "metallic pad", "halo pad", "sweep pad", "synth effects", "synth effects",
    "crystal synth", "atmosphere synth", "brightness synth", "synth effects", "echo synth", "synth effects",
    "sitar", "banjo", "shamisen", "koto", "kalimba", "bagpipes", "fiddle", "shanai", "bells", "agogo",
    "steel drum", "woodblock", "taiko drum", "melodic tom", "synth drum", "reverse cymbal",
    *("sound effects",) * 8,
)  # fmt: skip
"""By program number."""

KIT, HAND = "drums", "percussion"
KIT_KEYS = frozenset(range(35, 54)) | {55, 57, 59}
"""Keys of drums, hi-hats and cymbals; the others are shaken, scraped and struck by hand."""

LEADS = {
    0: (60, 88), 4: (58, 86), 6: (60, 86), 8: (72, 98), 9: (74, 98), 10: (72, 96), 11: (58, 86), 12: (55, 86),
    13: (67, 96), 17: (58, 86), 21: (58, 86), 22: (60, 86), 24: (52, 79), 25: (55, 81), 26: (52, 79), 27: (55, 82),
    29: (55, 82), 30: (52, 79), 40: (60, 90), 41: (52, 79), 42: (43, 69), 56: (57, 80), 57: (46, 69), 59: (58, 80),
    60: (48, 72), 64: (60, 82), 65: (54, 77), 66: (49, 72), 68: (60, 84), 69: (54, 77), 70: (43, 67), 71: (55, 84),
    72: (74, 98), 73: (62, 90), 74: (67, 91), 75: (64, 88), 78: (72, 93), 79: (67, 88), 80: (58, 84), 81: (58, 84),
    104: (52, 76), 105: (55, 79), 107: (55, 81), 108: (60, 84), 110: (58, 86), 114: (57, 81),
}  # fmt: skip
"""Programs that play melodies, with the lowest and highest note that sounds well."""

SOLOISTS = {
    0: (30, 100), 4: (34, 96), 6: (34, 92), 11: (48, 89), 12: (43, 96), 10: (55, 98), 16: (36, 96), 19: (36, 96),
    21: (45, 92), 24: (38, 84), 25: (38, 84), 26: (38, 82), 27: (38, 84), 46: (34, 98), 48: (34, 94), 15: (48, 91),
    3: (33, 96), 107: (45, 88), 105: (48, 86),
}  # fmt: skip
"""Programs that can play a whole piece alone, with their lowest and highest note."""

_KIN = (
    (0, 1, 2, 4, 5), (16, 17, 18, 19), (24, 25, 26, 27), (6, 7, 0), (32, 33, 34, 35, 36), (48, 49, 50, 44),
    (52, 53, 54), (88, 89, 90, 94, 50), (11, 12, 13, 9), (56, 57, 60, 61), (64, 65, 66, 71), (73, 74, 75, 68),
    (21, 22, 23), (29, 30), (40, 110, 41), (105, 25, 15),
)  # fmt: skip
CHORDAL = (0, 4, 16, 24, 25, 26, 27, 21, 11, 48, 46, 6)
"""Programs that may play any chords."""


def name_of(program: int) -> str:
    """What one calls a program."""
    return NAMES[program]


def kin(program: int) -> tuple[int, ...]:
    """Programs that may stand in for one: those of its kind."""
    return next((group for group in _KIN if program in group), (program,))
