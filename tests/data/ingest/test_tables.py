"""Tables as they come: damaged lines are named, and cost no other line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from musegen.data.ingest.problems import Skip
from musegen.data.ingest.tables import read_json_lines, read_table
from musegen.data.ingest.texts import clean, key_of, number, same_artist, several
from musegen.data.sample import KEY


def test_json_lines_go_on_after_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    lines = [b'\xef\xbb\xbf{"a": 1}', b"{oops", b"", b"[1, 2]", b'{"a": "caf\xe9"}', b'{"a": "caf\xc3\xa9"}', b'{"a"']
    path.write_bytes(b"\r\n".join(lines))
    lost: list[Skip] = []
    assert list(read_json_lines(path, lost)) == [
        ("rows.json:1", {"a": 1}),
        ("rows.json:5", {"a": "café"}),
        ("rows.json:6", {"a": "café"}),
    ]
    assert [(skip.name, skip.kind) for skip in lost] == [
        (f"rows.json:{line}", "line cannot be read") for line in (2, 4, 7)
    ]
    assert "expected an object, got list" in lost[1].detail


def test_a_list_is_as_good_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{"a": 1}, 3, {"a": 2}], indent=1))
    lost: list[Skip] = []
    assert [row for _, row in read_json_lines(path, lost)] == [{"a": 1}, {"a": 2}]
    assert len(lost) == 1
    path.write_text('[{"a": 1}')
    with pytest.raises(ValueError, match=r"rows\.json: expected JSON Lines or a JSON list"):
        list(read_json_lines(path, lost))


def test_a_lonely_quotation_mark_spoils_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "songs.csv"
    path.write_bytes(
        b'id\tsong\n1\t"Heroes" live\n2\t"""Quoted"""\n3\t"Never closed\n4\ttoo\tmany\n5\n6\tna\xefve\n7\t7" single\n'
    )
    lost: list[Skip] = []
    rows = {row["id"]: row["song"] for _, row in read_table(path, lost)}
    assert set(rows) == {"1", "2", "3", "6", "7"}
    assert rows["2"] == '"Quoted"'
    assert rows["6"] == "naïve"
    assert [skip.name for skip in lost] == ["songs.csv:5", "songs.csv:6"]
    assert lost[0].detail == "expected 2 columns, got 3"
    path.write_text("id,song\n1," + "la " * 100_000 + "\n2,short\n")
    assert [len(row["song"]) for _, row in read_table(path, [])] == [300_000, 5]
    path.write_text('a,b\n1,"x, y"\n')
    assert [row for _, row in read_table(path, [])] == [{"a": "1", "b": "x, y"}]


def test_texts_numbers_and_lists() -> None:
    assert clean("  a\tslow \x00 waltz\n") == "a slow waltz"
    assert clean("half a \ud83d pair") == "half a ? pair"
    assert [clean(value) for value in ("", " NaN ", None, 3, "none", "<unknown>")] == [None] * 6
    assert [number(value) for value in ("120.5", 3, "nan", float("inf"), None, True, "x", [1])] == [
        120.5,
        3.0,
        *[None] * 6,
    ]
    assert several("rock, indie ,,rock;pop") == ["rock", "indie", "pop"]
    assert several(["a", None, "a ", 3]) == ["a"]
    assert several(None) == []


def test_keys_are_valid_and_differ() -> None:
    names = [
        "song",
        "a b",
        "a-b",
        "a/b.wav",
        "",
        "ü",
        "__x",
        "x" * 70,
        "x" * 71,
        "-",
        "0QnOCnVqb4D7eIpF",
        "-0SdAVK79lg_1",
    ]
    keys = [key_of(name, "m-") for name in names]
    assert len(set(keys)) == len(keys)
    assert all(KEY.fullmatch(key) for key in keys), keys
    assert keys[0] == "m-song"
    assert key_of("a b") == key_of("a b")


def test_artists_are_the_same_under_other_spellings() -> None:
    for one, other in (
        ("Beyoncé", "BEYONCE"),
        ("The  Band", "the band"),
        ("Adele feat. Someone", "Adele"),
        ("Adele (ft. X)", "adele"),
        ("AC/DC", "AC DC"),
    ):
        assert same_artist(one) == same_artist(other)
    assert same_artist("Daft Punk") != same_artist("Daft")
    assert same_artist("!!!") != same_artist("???")
    assert same_artist("中島みゆき") != same_artist("宇多田ヒカル")
