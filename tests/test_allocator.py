"""Freed memory is kept, where nobody has said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from musegen.allocator import keep_freed_memory
done = keep_freed_memory() if sys.argv[1] == "kept" else None
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
torch.ones(16 << 20)
before = faults()
for _ in range(40):
    torch.ones(16 << 20)  # 64 MiB each, 16384 pages
print(done, faults() - before)
"""


def faults(kept: str, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", FAULTS, kept]
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=True)
    told, count = done.stdout.split()
    return told, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux") or not os.confstr("CS_GNU_LIBC_VERSION"), reason="needs glibc")
def test_memory_is_asked_for_once() -> None:
    given_back, kept = faults("given back"), faults("kept")
    assert given_back[0] == "None"
    assert kept[0] == "True"
    assert given_back[1] > 40 * 100, "large pages at most, yet asked for each time"
    assert kept[1] < given_back[1] / 5


def test_whoever_says_how_is_heard() -> None:
    for name in ("MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"):
        assert faults("kept", **{name: ""})[0] == "False"
