"""How a process takes memory from the system and gives it back."""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Options of glibc's ``mallopt``, https://www.gnu.org/software/libc/manual/html_node/Malloc-Tunable-Parameters.html."""

KEPT = 2**31 - 1
"""Bytes of freed memory that a process may keep for its next tensors; more does not fit into ``mallopt``'s numbers."""


def keep_freed_memory() -> bool:
    """Keep up to 2 GiB of what tensors on the CPU leave behind, in place of giving it back and asking anew.

    glibc takes every large piece of memory from the system and gives it back at once. A network that works on long
    audio asks for hundreds of MiB a layer, and the system clears each page again: a third of the time of encoding a
    song, and a quarter of decoding one.

    Returns:
        Whether it was done: there is another allocator on other systems, and none is touched where the environment says
        how it is to behave (``MALLOC_…``, ``GLIBC_TUNABLES``).
    """
    told = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if told or not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    done = [mallopt(option, KEPT) == 1 for option in (TRIM_THRESHOLD, MMAP_THRESHOLD)]
    return all(done)
