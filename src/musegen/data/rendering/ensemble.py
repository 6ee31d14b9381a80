"""Who plays: the whole band, a few of it, or one alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from musegen.data.rendering.instruments import CHORDAL, LEADS, SOLOISTS, kin, name_of
from musegen.data.rendering.score import Part, shift, together

KINDS = {
    "band": 0.43, "without drums": 0.12, "trio": 0.12, "duo": 0.1, "bass and drums": 0.04, "solo": 0.14,
    "melody alone": 0.03, "drums alone": 0.02,
}  # fmt: skip
"""How often each is asked for; where a style lacks the players, the band plays."""

PRESENT = 0.5
"""Share of a piece's seconds in which one plays whom a small ensemble may do with."""

WriteLead = Callable[[int], Part]
"""A melody for a program, as a part of the role ``lead``."""


@dataclass(frozen=True)
class Ensemble:
    """Who plays a piece.

    Args:
        kind: one of `KINDS`.
        parts: at least one.
    """

    kind: str
    parts: tuple[Part, ...]


def assemble(chance: random.Random, parts: Sequence[Part], seconds: float, write_lead: WriteLead) -> Ensemble:
    """Choose players, and instruments for them, from what a style offers.

    Args:
        chance: where all choices come from.
        parts: what MMA wrote.
        seconds: length of the piece.
        write_lead: composes a melody where one is wanted.
    """
    kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
    steady = [part for part in parts if part.presence(seconds) >= PRESENT]
    drums = tuple(part for part in parts if part.role == "drums")
    bass = _one(chance, [part for part in steady if part.role == "bass"])
    chords = [part for part in steady if part.role == "chords"]
    chordal = (chance.choice(chords),) if chords else ()
    if kind == "drums alone" and drums:
        return Ensemble(kind, drums)
    if kind == "bass and drums" and bass and drums:
        return Ensemble(kind, (*bass, *drums))
    if kind == "trio" and bass and drums and chordal:
        return Ensemble(kind, (_on(chance, chordal[0]), *bass, *drums))
    if kind == "duo" and chordal:
        player = _on(chance, chordal[0])
        if bass and chance.random() < 0.4:
            return Ensemble(kind, (player, *bass))
        return Ensemble(kind, (player, write_lead(_soloist(chance, (player,)))))
    if kind == "melody alone":
        return Ensemble(kind, (write_lead(_soloist(chance, ())),))
    if kind == "solo" and chordal:
        program = chance.choice((0, 0, 0, 24, 25, *SOLOISTS))  # the piano and guitars more often than others
        played = [part for part in steady if part.role in ("chords", "bass")]
        if chance.random() < 0.5:
            played.append(write_lead(program if program in LEADS else 0))
        alone = together([shift(part, program, *SOLOISTS[program]) for part in played])
        return Ensemble(kind, (replace(alone, role="chords"),))
    pitched = [part for part in parts if part.role != "drums"]
    kind = "without drums" if not drums or (kind == "without drums" and len(pitched) > 1) else "band"
    played = _revoiced(chance, pitched) + list(drums if kind == "band" else ())
    if chance.random() < 0.5 or not pitched:
        played.append(write_lead(_soloist(chance, played)))
    return Ensemble(kind, tuple(played))


def _one(chance: random.Random, parts: Sequence[Part]) -> tuple[Part, ...]:
    """Several parts as one player's, on an instrument of the kind."""
    if not parts:
        return ()
    joined = together(parts)
    return (replace(joined, program=chance.choice(kin(joined.program))),)


def _on(chance: random.Random, part: Part) -> Part:
    """A part on any instrument that plays chords."""
    if chance.random() < 0.4:
        return part
    program = chance.choice(CHORDAL)
    return shift(part, program, *SOLOISTS[program])


def _revoiced(chance: random.Random, parts: Sequence[Part]) -> list[Part]:
    """Parts on instruments of their kind, each of a program on the same."""
    change = {program: chance.choice(kin(program)) for program in sorted({part.program for part in parts})}
    change = {program: other if chance.random() < 0.5 else program for program, other in change.items()}
    return [replace(part, program=change[part.program]) for part in parts]


def _soloist(chance: random.Random, others: Sequence[Part]) -> int:
    """An instrument for a melody that nobody else plays."""
    taken = {part.instrument for part in others}
    return chance.choice([program for program in LEADS if name_of(program) not in taken])
