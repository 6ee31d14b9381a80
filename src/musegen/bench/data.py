"""How many samples a second are read, decoded and put into batches, beside what a GPU consumes."""

from __future__ import annotations


def data() -> None:
    """Measure reading."""
