"""Measure how fast something is on this machine."""

ROOM = "musegen.bench"
"""Whose files are the sub-commands, where they hold a function of their own name: ``musegen bench data``."""
