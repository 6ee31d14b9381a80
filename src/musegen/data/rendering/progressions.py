"""Chord progressions in common use, in roman numerals. A space ends a bar, a comma divides one."""

from __future__ import annotations

from functools import cache

MAJOR = {
    "any": (
        # four bars round and round
        "I vi IV V7", "I vi ii V7", "I IV V I", "I V vi IV", "I IV ii V7", "I iii IV V", "I I IV V7", "I bVII IV I",
        "I V IV IV", "I IV I V7", "I iii vi IV", "ii7 V7 IM7 IM7", "I IV vi V", "I ii IV V", "I V ii IV",
        "I III7 IV iv", "I I7 IV iv", "I ii iii IV",
        "I bVII I V7", "I IV iii ii", "I ii V7 I", "I IM7 I7 IV", "IV V iii vi", "IV I V I", "ii IV I V",
        "I bIII IV I", "I V7 V7 I", "I II7 IV I", "I IV V IV", "I iii IV iv", "I I+ I6 I7", "I ii7 IV I",
        "IV I ii I", "I vi V IV", "Isus I IV V7sus", "IM7 vi7 ii7 V7", "IM7 iii7 IVM7 V7",
        "IM7 IVM7 iii7 vi7", "IM7 bIIIo7 ii7 V7",
        # eight bars and more
        "I V7 I I IV I V7 I", "I IV I V7 I IV V7 I", "I I IV I V7 IV I V7",
        "I vi IV V7 I vi ii V7", "I V vi iii IV I IV V", "I I I7 IV IV I V7 I",
        "I V7 I V7 IV I V7 I", "IV I IV I IV I V7 V7", "I iii IV I IV I ii V7", "I I II7 II7 V7 V7 I I",
        "vi ii V7 I vi ii V7 I", "ii7 V7 IM7 VI7 ii7 V7 IM7 IM7", "IM7 I7 IVM7 iv6 iii7 VI7 ii7 V7",
        "I V IV I I V IV V", "I I IV iv I VI7 ii V7", "I IV I I IV IV V7 V7",
        "IM7 IM7 ii7 V7 IM7 VI7 ii7 V7", "I vi ii V7 iii vi ii V7", "I V vi IV I V IV IV", "IV IV I I V7 V7 I I",
        "I IV I6 V7", "I V7 vi IV", "I IV ii7 V7 I IV V7 I", "I I V7 I", "I V7 I IV I V7 I I", "I vi IV V7 I IV V7 I",
        "I iii vi V7 I IV V7 I", "IM7 vi7 ii7 V7 IM7 vi7 V7 IM7", "I I6 ii7 V7", "I Vsus V7 I", "I IV V7 IV I V7 I I",
        "I V IV I", "I ii7 V7 I I IV V7 I", "I I IV iv I V7 I I", "I II7 V7 I", "I VI7 ii V7 I IV V7 I",
        "I V vi V I IV V7 I",
        "I IVM7 I V7", "I6 ii7 I6 V7",
    ),
    "two": (
        # two chords a bar
        "I,vi ii,V7 I,vi ii,V7", "I,IV I,V7 I,IV V7,I", "I V IV,I V7", "I,V vi,iii IV,I IV,V",
        "I IV,V I IV,V7", "I,iii IV,V I,iii IV,V7", "ii7,V7 IM7 ii7,V7 IM7", "I,I7 IV,iv I,V7 I", "I,V7 I V7,I V7",
    ),
    "four": ("I7 I7 IV7 I7", "I,V vi,I IV,I ii,V7", "I I bVII,IV I"),
    "three": (
        "I I V7 V7 V7 V7 I I", "I I IV IV V7 V7 I I", "I V7 I V7 I V7 V7 I", "I vi ii V7 I vi V7 I",
        "I I7 IV IV I V7 I I", "I iii IV I IV I V7 V7", "I I #io7 ii ii V7 V7 I",
    ),
    "blues": (
        "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
        "I7 IV7 I7 I7 IV7 IV7 I7 VI7 ii7 V7 I7 V7", "I I I I7 IV IV I I V7 V7 I I", "I7 V7 IV7 IV7 I7 V7 I7 V7",
        "I7 I7 IV7 IV7 I7 V7 I7 V7", "I7 IV7 I7 V7", "I I7 IV IV7 I V7 I I",
    ),
}  # fmt: skip
MINOR = {
    "any": (
        "i iv V7 i", "i bVI bVII V7", "i bVII bVI V7", "i i iv V7", "i bVI iv V7", "i iv i V7", "i v iv V7",
        "i bVII i V7", "i bVI bIII V7", "i V7 i V7", "i bIII iv V7", "i bVII iv i", "i iv bVI V7",
        "i bVI bVII i", "i v bVI bVII", "i iv v i", "i iv i v", "i V7 bVI V7",
        "i iih7 V7 i", "i7 iv7 V7 i7", "i bII V7 i", "i iM7 i7 i6", "i i7 bVI V7", "iv i V7 i",
        "i bVI iih7 V7", "i bIIIM7 bVIM7 V7", "i7 IV7 i7 IV7", "i bIII IV bVI", "bVI bVII i i",
        "iih7 V7 i i", "i v i iv", "i V7 V7 i", "i iv bVII i", "i bVI i V7", "i ii7 V7 i",
        "i V7 i i iv i V7 i", "i iv V7 i i iv V7 i", "i i iv i bVI iv V7 V7",
        "i iv bVII bIII bVI iih7 V7 i", "i bVII bVI V7 i bVII bVI V7", "i iv i V7 i iv V7 i",
        "iv iv i i V7 V7 i i", "i bVI bIII bVII i bVI V7 V7", "i v bVI bIII iv i V7 V7",
        "i6 i6 iih7 V7 i6 bVI7 iih7 V7",
        "i iv i V7 i bVI V7 i", "i i V7 i", "i bVI iv i", "i V7 i iv", "i i6 iv V7", "i bVI i V7 i iv V7 i",
        "i bVII bVI V7 i iv V7 i", "i iih7 V7 i i iv V7 i", "i iv i bVI iv iih7 V7 i", "i bIII iv V7 i bVI V7 i",
        "i7 bVIM7 iih7 V7", "i iM7 i7 iv V7 V7 i i", "i V7 i bVI iv V7 i i", "i iv6 V7 i", "i io7 iv V7",
        "i i iv bVI V7 V7 i i",
    ),
    "two": (
        "i,iv V7,i i,iv V7,i", "i,bVII bVI,V7 i,bVII bVI,V7", "i bVII bVI,bVII i", "i,V7 i,iv i,V7 i",
        "i,bVI iih7,V7 i,bVI iih7,V7",
        "i iv,V7 i bVI,V7", "i7,iv7 i7,V7 i7,iv7 V7,i7", "i,bIII bVII,iv i,bIII iv,V7",
    ),
    "four": ("i7 i7 bVII i7", "i i bVI,bVII i"),
    "three": (
        "i i V7 V7 V7 V7 i i", "i V7 i V7 iv i V7 i", "i i iv iv i V7 i i", "i bVI iv V7 i bVI V7 i",
        "i i bVII bVII bVI bVI V7 V7", "i iv V7 i bVI iv V7 V7",
    ),
    "blues": (
        "i i i i iv iv i i V7 iv i V7", "i7 iv7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7", "i7 i7 iv7 iv7 i7 bVI7 V7 i7",
        "i7 iv7 i7 V7", "i i iv iv i V7 i V7",
    ),
}  # fmt: skip
PROGRESSIONS = {"major": MAJOR, "minor": MINOR}
"""By mode, then by what they suit: any metre, chords that change within a bar, four four, three, or the blues."""


def suited(mode: str, metre: str, family: str) -> tuple[str, ...]:
    """The progressions for a song, those that a metre or family is known for several times over.

    Args:
        mode: ``major`` or ``minor``.
        metre: such as ``3/4``.
        family: of genres, as `genres` names it.
    """
    table = PROGRESSIONS[mode]
    chosen = table["any"]
    if metre in ("4/4", "12/8"):
        chosen += table["two"] + table["four"]
    if metre in ("3/4", "6/8"):
        chosen += 2 * table["three"]
    if family == "blues":
        chosen += 8 * table["blues"]
    elif family in ("rock", "country", "swing", "jazz", "soul", "funk") and metre != "3/4":
        chosen += table["blues"]
    return chosen


@cache
def identity(progression: str) -> str:
    """What a progression is once it goes round and round: its plain degrees, begun where they come first in order.

    Two progressions with one identity are the same music to one who does not know where they begin.
    """
    bars = [",".join(_plain(degree) for degree in bar.split(",")) for bar in progression.split()]
    sizes = (size for size in range(1, len(bars) + 1) if len(bars) % size == 0)
    length = next(size for size in sizes if bars[:size] * (len(bars) // size) == bars)
    turns = (bars[start:length] + bars[:start] for start in range(length))
    return " ".join(min(turns))


def _plain(degree: str) -> str:
    return degree.rstrip("0123456789").removesuffix("M").removesuffix("sus").removesuffix("7")
