"""Halves of real music: nothing in common, of like size, all pieces in one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from musegen.audio import encode_audio
from musegen.cli import main
from musegen.data.halves import labels, sides
from musegen.data.random_access import ShardFolder
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter


def test_pieces_that_hang_together_stay_together() -> None:
    facts = [
        {"groove": "Waltz", "grooves": ["Waltz", "WaltzSus"]},
        {"groove": "WaltzSus", "artist": "Anna"},
        {"artist": "Anna", "album": "Blue"},
        {"album": "Red"},
        {"album": "Red", "artist": "Bert"},
        {"artist": "Bert"},
        {},
        {},
    ]
    side = sides(facts)
    assert side[0] == side[1] == side[2] != side[3] == side[4] == side[5]
    assert side[6] != side[7]  # nothing is known of them: each is its own


def test_halves_are_of_like_size_and_disjoint() -> None:
    facts = [{"groove": f"groove{number % 23}", "style": f"style{number % 23}"} for number in range(300)]
    side = sides(facts)
    assert abs(side.count(0) - side.count(1)) <= 300 // 23 + 1
    told = [set().union(*(labels(one) for one, half in zip(facts, side, strict=True) if half == n)) for n in (0, 1)]
    assert told[0]
    assert not told[0] & told[1]


def test_one_groove_is_refused() -> None:
    with pytest.raises(ValueError, match="expected pieces of two grooves, albums or artists or more, got 1"):
        sides([{"groove": "Waltz"}, {"groove": "Waltz"}])


def test_the_command_writes_every_piece_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ShardWriter(tmp_path / "songs", {"source": "test"}) as writer:
        for number in range(6):
            facts = {"groove": f"groove{number // 2}", "captions": ["a piece"], "licence": "CC0-1.0"}
            audio = 0.1 * torch.randn(2, 100, generator=torch.Generator().manual_seed(number))
            writer.write(Sample(f"s{number}", facts, audio=encode_audio(audio, 8000, "flac")))
    main(["halve", str(tmp_path / "songs"), str(tmp_path / "halves")])
    assert "4 pieces" in capsys.readouterr().out
    whole = ShardFolder(tmp_path / "songs", ["audio"])
    there = {sample.key: sample for sample in (whole[number] for number in range(6))}
    found = []
    for name in ("a", "b"):
        half = ShardFolder(tmp_path / "halves" / name, ["audio"])
        for number in range(len(half)):
            found.append(half[number].key)
            assert half[number].audio == there[half[number].key].audio
            assert half[number].facts["groove"] == there[half[number].key].facts["groove"]
    assert sorted(found) == sorted(there)
