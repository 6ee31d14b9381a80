"""Caching that dies at any write, fsync, rename or removal, and is started again: the folder is as if nothing had been.

Nothing is computed here: encoded samples are remembered, so that hundreds of deaths take seconds.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import dying_disk
from dying_disk import DyingDisk, KilledError
from little_cache import encode, encoder, everything, songs
from musegen.data.encoder import Encoder
from musegen.data.sample import Sample
from musegen.data.verify import verify_folder


class Remembering(Encoder):
    """Gives again what it encoded before."""

    known: dict[str, Sample]

    def forward(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if sample.key not in self.known:
                (self.known[sample.key],) = super().forward([sample])
            yield self.known[sample.key]


@pytest.fixture(scope="module")
def ready() -> Encoder:
    made = encoder()
    made.__class__ = Remembering
    made.known = {}  # type: ignore[assignment]
    return made


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, ready: Encoder) -> Path:
    """A source of five songs, the whole result, and the result as it was when there were three songs."""
    home = tmp_path_factory.mktemp("home")
    songs(home / "songs", 3)
    encode(home / "songs", home / "before", encoder=ready)
    songs(home / "songs", 5, first=3)
    encode(home / "songs", home / "whole", encoder=ready)
    return home


@pytest.fixture(params=["new", "grown"])
def again(request: pytest.FixtureRequest, home: Path, tmp_path: Path) -> Callable[[], Path]:
    """Gives a folder to begin in: none yet, or one whose source has grown since."""

    def prepare() -> Path:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        if request.param == "grown":
            shutil.copytree(home / "before", tmp_path / "out")
        return tmp_path / "out"

    return prepare


def whole_or_unfinished(folder: Path) -> bool:
    """Whether a folder that has an index is whole."""
    return not (folder / "index.json").exists() or verify_folder(folder).problems == []


def count(home: Path, out: Path, ready: Encoder) -> int:
    with DyingDisk(out).watched() as disk:
        encode(home / "songs", out, encoder=ready)
    assert everything(out) == everything(home / "whole")
    kinds = {action.split()[0] for action in disk.actions}
    assert kinds >= {"open", "write", "fsync", "replace", "unlink", "mkdir", "rmdir"}
    return len(disk.actions)


@pytest.mark.parametrize("kind", ["kill", "power", "error"])
def test_a_fault_at_any_boundary_leaves_no_trace(
    home: Path, again: Callable[[], Path], ready: Encoder, kind: dying_disk.Kind
) -> None:
    boundaries = count(home, again(), ready)
    assert boundaries > 100
    whole = everything(home / "whole")
    for last in range(boundaries):
        out = again()
        with DyingDisk(out, last, kind).watched() as disk, suppress(KilledError, OSError):
            encode(home / "songs", out, encoder=ready)
        assert len(disk.actions) > last
        assert whole_or_unfinished(out), disk.actions[-1]
        made = encode(home / "songs", out, parts=1 + last % 3, encoder=ready)
        assert len(made) == len(set(made))
        assert everything(out) == whole, f"after {disk.actions[last]}, the {last}th of {boundaries}"
    print(f"{boundaries} boundaries")


def test_deaths_upon_deaths_leave_no_trace(home: Path, again: Callable[[], Path], ready: Encoder) -> None:
    chance = random.Random(0)
    whole = everything(home / "whole")
    for _ in range(15):
        out = again()
        for _ in range(chance.randint(2, 5)):
            kind: dying_disk.Kind = chance.choice(["kill", "power", "error"])
            with DyingDisk(out, chance.randrange(80), kind).watched(), suppress(KilledError, OSError):
                encode(home / "songs", out, parts=chance.randint(1, 3), encoder=ready)
            assert whole_or_unfinished(out)
        encode(home / "songs", out, encoder=ready)
        assert everything(out) == whole
