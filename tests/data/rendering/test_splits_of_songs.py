"""What is held out never comes into training, whatever the seed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from musegen.data.prompt_file import read_prompts
from musegen.data.rendering.genres import GENRES, UNSEEN, genre
from musegen.data.rendering.harmony import TONICS
from musegen.data.rendering.library import Style
from musegen.data.rendering.progressions import PROGRESSIONS, identity
from musegen.data.rendering.songs import Song, compose
from musegen.data.rendering.splits import SPLITS, check_split, has_progression, has_style, is_held_out

PROMPTS = Path(__file__).parents[3] / "data" / "prompts"
STYLES = [Style(name, int(one.beats * one.pulse), (name,)) for name, one in GENRES.items()]


def songs(split: str, seed: int, count: int = 600) -> list[Song]:
    styles = [style for style in STYLES if has_style(split, style.name)]
    return [compose(random.Random(f"{seed} {number}"), styles, 24.0, split) for number in range(count)]


def called(song: Song) -> tuple[str, str, int]:
    return song.genre.words, song.key, song.tempo


def test_splits_share_no_songs_and_unseen_shares_nothing() -> None:
    made = {split: songs(split, seed) for seed, split in enumerate(SPLITS)}
    names = {split: {called(song) for song in some} for split, some in made.items()}
    assert not names["train"] & (names["val"] | names["unseen"])
    styles = {split: {song.style for song in some} for split, some in made.items()}
    assert styles["train"] == styles["val"] == set(GENRES) - set(UNSEEN)
    assert styles["unseen"] == set(UNSEEN)
    used = {
        split: {(song.mode, identity(one)) for song in some for _, one in song.progressions}
        for split, some in made.items()
    }
    assert not used["unseen"] & (used["train"] | used["val"])
    assert len(used["unseen"]) > 12
    assert used["val"] <= {key for seed in range(2) for song in songs("train", seed + 5) for key in keys(song)}


def keys(song: Song) -> set[tuple[str, str]]:
    return {(song.mode, identity(one)) for _, one in song.progressions}


def test_no_known_progression_passes_through_an_unseen_one() -> None:
    for mode, tables in PROGRESSIONS.items():
        every = [one for table in tables.values() for one in table]
        unseen = {identity(one) for one in every if has_progression("unseen", mode, one)}
        assert len(unseen) >= 6
        for one in every:
            if has_progression("train", mode, one):
                around = f" {' '.join([identity(one)] * 12)} "
                assert not any(f" {other} " in around for other in unseen), one


def test_what_is_held_out_is_fixed() -> None:
    share = [
        is_held_out(words, tonic, "major", tempo)
        for words in ("waltz", "rock")
        for tonic in range(12)
        for tempo in range(60, 180)
    ]
    assert 0.05 < sum(share) / len(share) < 0.075
    fixed = [tempo for tempo in range(60, 180) if is_held_out("bossa nova", 2, "minor", tempo)]
    assert fixed == [69, 78, 104, 130, 143]


def test_unseen_genres_are_of_families_that_are_seen() -> None:
    seen = {genre(name).family for name in GENRES if name not in UNSEEN}
    assert {genre(name).family for name in UNSEEN} <= seen


@pytest.mark.parametrize(("name", "split"), [("held_out", "val"), ("unseen", "unseen")])
def test_no_training_song_is_called_as_a_prompt_is(name: str, split: str) -> None:
    file = PROMPTS / f"{name}_songs.jsonl"
    assert len(read_prompts(file)) == 200
    for line in file.read_text(encoding="utf-8").splitlines():
        prompt = json.loads(line)
        assert has_style(split, prompt["style"])
        assert str(prompt["tempo"]) in prompt["caption"]
        assert prompt["genre"].removeprefix("big band ") in prompt["caption"]
        if prompt["tonality"] is not None:  # else drums alone
            tonic, mode = prompt["tonality"].split()
            assert is_held_out(prompt["genre"], TONICS[mode].index(tonic), mode, prompt["tempo"])
            spoken = tonic.replace("#", " sharp").replace("b", " flat")
            assert f"{tonic} {mode}" in prompt["caption"] or f"{spoken} {mode}" in prompt["caption"]


def test_a_wrong_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split: expected one of train, val, unseen, got 'test'"):
        check_split("test")
