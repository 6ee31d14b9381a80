from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musegen.generation.names import SLUG, ClipNames, slug


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("A slow, sad piano ballad in D minor!", "a-slow-sad-piano-ballad-in-d-minor"),
        ("Ça va, Motörhead?", "ca-va-motorhead"),
        ("../../etc/passwd", "etc-passwd"),
        ("日本の音楽", "prompt"),
        ("  CON  ", "con"),
        ("x" * 200, "x" * SLUG),
    ],
)
def test_slugs(prompt: str, expected: str) -> None:
    assert slug(prompt) == expected


def test_long_prompts_are_cut_at_a_word() -> None:
    name = slug("many words " * 20)
    assert len(name) <= SLUG
    assert name.endswith(("many", "words"))


@given(st.text(min_size=1))
def test_a_slug_is_safe_on_every_file_system(prompt: str) -> None:
    assert re.fullmatch(rf"[a-z0-9]([a-z0-9-]{{0,{SLUG - 1}}})?", slug(prompt))


def request(prompt: str, seed: int = 7, **more: object) -> dict:
    return {"prompt": prompt, "seed": seed, **more}


def keep(path: Path, request: dict) -> None:
    path.write_bytes(b"sound")
    path.with_suffix(".json").write_text(json.dumps(request | {"file": path.name}))


def test_equal_slugs_get_names_of_their_own(tmp_path: Path) -> None:
    names = ClipNames(tmp_path, "wav")
    given_names = [names.name(request(prompt)).name for prompt in ("Piano!", "piano", "piano?", "drums")]
    assert given_names == ["piano_seed7.wav", "piano_seed7_2.wav", "piano_seed7_3.wav", "drums_seed7.wav"]


def test_the_same_request_takes_its_old_name_and_another_one_does_not(tmp_path: Path) -> None:
    keep(tmp_path / "piano_seed7.wav", request("piano", steps=5))

    def name(prompt: str, format: str = "wav", replace: bool = True, **more: object) -> str:
        return ClipNames(tmp_path, format, replace).name(request(prompt, **more)).name

    assert name("piano", steps=5) == "piano_seed7.wav"
    assert name("piano", steps=6) == "piano_seed7_2.wav"
    assert name("Piano", steps=5) == "piano_seed7_2.wav"
    assert name("piano", "flac", steps=5) == "piano_seed7_2.flac"  # its JSON would be in the way
    assert name("piano", replace=False, steps=5) == "piano_seed7_2.wav"
    assert name("piano", seed=8, steps=5) == "piano_seed8.wav"


def test_files_that_are_no_clips_stay(tmp_path: Path) -> None:
    (tmp_path / "a_seed7.wav").write_bytes(b"mine")
    (tmp_path / "b_seed7.json").write_text("[not a clip")
    names = ClipNames(tmp_path, "wav")
    assert names.name(request("a")).name == "a_seed7_2.wav"
    assert names.name(request("b")).name == "b_seed7_2.wav"
