"""One browser for all tests of the app in a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browser import opened
from helpers import require


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    require("gradio")
    with opened() as found:
        yield found
