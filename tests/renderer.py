"""MMA and a soundfont are Debian packages: what needs them is skipped, or fails where everything is required."""

from __future__ import annotations

import os

import pytest

from helpers import require
from musegen.data.rendering.library import find_mma
from musegen.data.rendering.soundfont import find_soundfont


def need_renderer() -> None:
    """Skip a test, or fail it under MUSEGEN_REQUIRE_ALL, unless songs can be rendered."""
    require("tinysoundfont")
    require("mido")
    try:
        find_mma()
        find_soundfont()
    except ValueError as error:
        if os.environ.get("MUSEGEN_REQUIRE_ALL") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
