"""The library: what is added, found, changed, deleted and brought back."""

from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from little_clips import add, assert_whole, heard, unit, writer
from musegen.app.store.library import Library
from musegen.app.store.record import Lineage
from musegen.app.store.search import Query, nearest
from musegen.app.store.sweep import Patience, sweep


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


def titles(library: Library, **query: Any) -> list[str]:
    return [record.title for record in library.find(Query(**query))]


def test_a_clip_is_there_after_reopening(library: Library) -> None:
    parent = add(library, 1)
    lineage = Lineage("between", (parent.id,), "half way")
    made = add(library, 2, "a slow waltz", lineage=lineage, keep=True, tags=["Slow", "slow", " waltz "])
    again = Library(library.folder)
    found = again.get(made.id)
    assert found == made
    assert (found.prompt, found.seed, found.kind, found.key) == ("a slow waltz", 2, "generated", "D minor")
    assert found.tags == ("slow", "waltz")
    assert found.seconds == pytest.approx(0.05)
    assert found.lineage == lineage
    assert again.children(parent.id) == [made]
    assert again.picture(made.id, "mel") == b"png"
    assert np.array_equal(again.vectors("told", "little-1")[made.id], unit(2))
    assert again.vectors("told", "another") == {}
    assert_whole(again)


def test_takes_are_in_the_library_when_they_are_kept(library: Library) -> None:
    take = add(library, 1)
    assert titles(library) == []
    assert titles(library, shelf="takes") == ["prompt 1"]
    library.keep(take.id)
    assert titles(library) == ["prompt 1"]
    assert titles(library, shelf="takes") == []


def test_finding_by_words_tags_favourites_and_stars(library: Library) -> None:
    waltz, ballad = (add(library, n, text, keep=True) for n, text in enumerate(["A calm WALTZ", "a sad ballad ünique"]))
    library.tag(waltz.id, "evening, Piano")
    library.mark(ballad.id, True)
    library.rate(ballad.id, 4)
    assert titles(library, words="waltz calm") == ["A calm WALTZ"]
    assert titles(library, words="ÜNIQUE") == ["a sad ballad ünique"]
    assert titles(library, words="piano") == ["A calm WALTZ"]
    assert titles(library, words="100% _") == []
    assert titles(library, tag="Evening") == ["A calm WALTZ"]
    assert titles(library, favourite=True) == titles(library, rating=4) == ["a sad ballad ünique"]
    assert titles(library, rating=5) == []
    assert titles(library, order="best rated") == ["a sad ballad ünique", "A calm WALTZ"]
    assert library.tags() == ["evening", "piano"]
    library.rename(waltz.id, "  Evening\nsong ")
    assert titles(library, words="evening song") == ["Evening song"]
    assert titles(library, words="waltz") == ["Evening song"], "the prompt is searched beside the name"
    library.tag(waltz.id, "")
    assert titles(library, words="piano") == []


def test_deleting_and_undoing(library: Library) -> None:
    made = add(library, 1, keep=True, tags=["a"])
    library.delete(made.id)
    assert titles(library) == []
    assert library.vectors("told", "little-1") == {}
    assert library.of_ids([made.id]) == []
    assert titles(library, shelf="bin") == ["prompt 1"]
    assert library.restore(made.id) == made
    assert titles(library, tag="a") == ["prompt 1"]


@pytest.mark.parametrize("id", ["../../etc/passwd", "", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n", None, 7])
def test_names_cannot_leave_the_folder(library: Library, id: Any) -> None:
    for call in (library.audio_path, library.json_path, library.get, library.delete, library.keep):
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            call(id)


def test_hostile_titles_and_tags_are_kept_as_text(library: Library) -> None:
    made = add(library, 1, title="../../x\x00y'; DROP TABLE clips; --", tags=["<script>alert(1)</script>", "' OR 1=1"])
    assert made.title == "../../x y'; DROP TABLE clips; --"
    assert titles(library, shelf="takes", words="drop table") == [made.title]
    assert titles(library, shelf="takes", tag="' or 1=1") == [made.title]
    assert sorted(path.parent.name for path in library.folder.rglob("*.flac")) == ["clips"]


def test_what_is_out_of_range_is_refused_in_one_line(library: Library) -> None:
    made = add(library, 1)
    wrong = [
        lambda: library.rename(made.id, " \n"),
        lambda: library.rename(made.id, "x" * 121),
        lambda: library.tag(made.id, ["x" * 41]),
        lambda: library.tag(made.id, [str(n) for n in range(21)]),
        lambda: library.rate(made.id, 6),
        lambda: library.find(Query(order="id; DROP TABLE clips")),
        lambda: library.get("0" * 32),
        lambda: add(library, 2, title="x" * 121),
    ]
    for call in wrong:
        with pytest.raises(ValueError) as error:
            call()
        assert "\n" not in str(error.value)
    assert library.get(made.id) == made


def test_two_windows_write_at_once(library: Library) -> None:
    windows = [library, Library(library.folder)]
    shared = add(library, 99, keep=True)
    errors: list[BaseException] = []

    def work(window: Library, start: int) -> None:
        try:
            for number in range(start, start + 12):
                window.keep(add(window, number).id)
                window.tag(shared.id, [f"from {start}", str(number)])
                window.rate(shared.id, number % 6)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(windows[n % 2], 100 * n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(assert_whole(library)) == len(windows[1].find()) == 49
    tags = library.get(shared.id).tags
    assert len(tags) == 2, "one of the writers won, and not a mixture of them"
    assert int(tags[0]) // 100 == int(tags[1].removeprefix("from ")) // 100


def test_a_failed_write_leaves_nothing(library: Library) -> None:
    def fails(path: Path) -> dict:
        writer(1, "x")(path)
        raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space"):
        library.add(fails, heard(1))
    assert list(library.clips.iterdir()) == []
    assert assert_whole(library) == set()


def test_sweeping(library: Library) -> None:
    now = time.time()
    kept, deleted, take = add(library, 1, keep=True), add(library, 2, keep=True), add(library, 3)
    library.delete(deleted.id)
    orphan = library.clips / f"{'a' * 32}.flac"
    orphan.write_bytes(b"left behind")
    assert sweep(library) == 0, "all of it is too young"
    patience = Patience(newest=0)
    assert sweep(library, patience, now + 8 * 86400) == 3
    assert not orphan.exists()
    assert assert_whole(library) == {kept.id, deleted.id}
    assert sweep(library, patience, now + 31 * 86400) == 2
    assert assert_whole(library) == {kept.id}
    with pytest.raises(ValueError, match="no longer"):
        library.get(take.id)


def test_no_library(tmp_path: Path) -> None:
    (tmp_path / "library.sqlite").write_bytes(b"this is no database, but it is long enough to be taken for one" * 20)
    with pytest.raises(ValueError, match=r"expected a library.s database"):
        Library(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError):
        Library(tmp_path / "file")


def test_a_later_version_is_refused(library: Library) -> None:
    with sqlite3.connect(library.database) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(ValueError, match="version 1, got version 99"):
        Library(library.folder)


def test_nearest_first() -> None:
    known = {str(number): unit(number) for number in range(50)}
    found = nearest(unit(7), known, 3)
    assert found[0][0] == "7"
    assert found[0][1] == pytest.approx(1.0)
    cosines = [cosine for _, cosine in found]
    best = sorted((float(unit(7) @ each) for each in known.values()), reverse=True)[:3]
    assert cosines == pytest.approx(best)
    assert nearest(unit(7), {}, 3) == []
