"""What is kept from training, by what a song is and never by its seed."""

from __future__ import annotations

from functools import lru_cache

from musegen.data.rendering.genres import UNSEEN
from musegen.data.rendering.progressions import PROGRESSIONS, identity
from musegen.flow.noise import hash_seed

SPLITS = ("train", "val", "unseen")
"""Training songs; held-out songs of styles and progressions that are trained on; styles and progressions never seen."""


def check_split(split: str) -> None:
    """Refuse a split that is none.

    Raises:
        ValueError: naming those that are.
    """
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")


def is_held_out(words: str, tonic: int, mode: str, tempo: int) -> bool:
    """Whether no training song may be called this: one in sixteen of all combinations of genre, key and tempo.

    So a full caption of a held-out song is never one of a training song, whatever their seeds.
    """
    return hash_seed("held-out song", words, tonic, mode, tempo) % 16 == 0


def has_style(split: str, style: str) -> bool:
    """Whether songs of a split may be in a style."""
    return (style in UNSEEN) == (split == "unseen")


def has_progression(split: str, mode: str, progression: str) -> bool:
    """Whether songs of a split may go over a progression."""
    return (identity(progression) in _unseen(mode)) == (split == "unseen")


@lru_cache
def _unseen(mode: str) -> frozenset[str]:
    """The progressions never trained on: a quarter of those from three bars on that no other holds or is held by."""
    identities = sorted({identity(one) for table in PROGRESSIONS[mode].values() for one in table})
    longer = [one for one in identities if len(one.split()) > 2]
    apart = [one for one in longer if not any(_holds(one, other) or _holds(other, one) for other in identities)]
    return frozenset(one for one in apart if hash_seed("unseen progression", mode, one) % 4 == 0)


def _holds(whole: str, part: str) -> bool:
    """Whether a progression that goes round and round passes through another one (two bars alone are in too many)."""
    bars = len(part.split()) // len(whole.split()) + 2
    return whole != part and len(part.split()) > 2 and f" {part} " in f" {' '.join([whole] * bars)} "
