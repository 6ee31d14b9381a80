"""Two towers: what they are kept in, and that they learn to tell songs apart that they have not met."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers import randomise
from musegen.metrics.contrast import Said, Songs, fit_towers, similarities
from musegen.metrics.similarity import found_in
from musegen.metrics.two_towers import TwoTowers, read_towers, write_towers


def made_songs(count: int, seed: int, twins: bool = False) -> Songs:
    """Songs of five hidden numbers: the same mix of them in what is heard, another mix in every token."""
    mix = torch.Generator().manual_seed(99)
    heard, said = torch.randn(5, 30, generator=mix), torch.randn(5, 24, generator=mix)
    chance = torch.Generator().manual_seed(seed)
    hidden = torch.randn(count, 5, generator=chance)
    numbers = hidden @ heard + 0.3 * torch.randn(count, 30, generator=chance)
    states = [(one @ said).expand(3 + number % 3, -1) for number, one in enumerate(hidden) for _ in range(2)]
    states = [one + 0.3 * torch.randn(one.shape, generator=chance) for one in states]
    means = torch.zeros(2 * count) if twins else torch.arange(2 * count)
    return Songs(
        3 + 5 * numbers, Said(states, torch.zeros(2 * count, 1), means), [[2 * n, 2 * n + 1] for n in range(count)]
    )


def small(**sizes: int) -> TwoTowers:
    torch.manual_seed(0)
    return TwoTowers(**{"heard": 30, "said": 24, "read": 1, "dim": 16, "hidden": 32, **sizes})


def test_held_out_songs_find_their_captions() -> None:
    towers, held_out = small(), made_songs(100, 2)
    before = similarities(towers.eval(), held_out).numpy()
    losses = fit_towers(towers, made_songs(200, 1), epochs=20, batch=100)
    assert losses[-1] < 0.5 * losses[0]
    after = similarities(towers, held_out).numpy()
    own = torch.arange(100).numpy()
    assert found_in(before, own, 10).mean() < 0.25
    assert found_in(after, own, 10).mean() > 0.8
    assert after[own, own].mean() > after.mean() + 0.5


def test_fitting_is_the_same_twice() -> None:
    first, second = small(), small()
    losses = [fit_towers(one, made_songs(20, 1), epochs=2, batch=8) for one in (first, second)]
    assert losses[0] == losses[1]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert all(one.grad is not None and one.grad.isfinite().all() for one in first.parameters())


def test_captions_that_say_the_same_do_not_compete() -> None:
    losses = fit_towers(small(), made_songs(20, 1, twins=True), epochs=1)
    assert losses[0] == 0, "all captions are true of all songs"


def test_one_song_cannot_be_told_apart() -> None:
    with pytest.raises(ValueError, match=r"expected two songs or more to tell apart, got 1$"):
        fit_towers(small(), made_songs(1, 1))


def test_padding_is_not_read() -> None:
    towers = randomise(small()).eval()
    assert isinstance(towers, TwoTowers)
    said = made_songs(4, 3).said
    together = towers.embed_said(*said.batch(range(6)))
    alone = torch.cat([towers.embed_said(*said.batch([one])) for one in range(6)])
    assert together.std() > 0.1
    assert torch.allclose(together, alone, atol=1e-6)
    assert together.norm(dim=1).tolist() == pytest.approx([1.0] * 6, abs=1e-5)


def test_towers_are_read_as_they_were_written(tmp_path: Path) -> None:
    towers, path = randomise(small()).half().float().eval(), tmp_path / "towers.safetensors"
    assert isinstance(towers, TwoTowers)
    write_towers(path, towers, {"worth": "much"})
    again, about = read_towers(path)
    assert about["worth"] == "much"
    numbers, said = torch.randn(5, 30), made_songs(2, 3).said.batch(range(4))
    assert torch.equal(again.embed_heard(numbers), towers.embed_heard(numbers))
    assert torch.equal(again.embed_said(*said), towers.embed_said(*said))
    assert towers.embed_heard(numbers).std() > 0.1


def test_what_are_no_towers(tmp_path: Path) -> None:
    path = tmp_path / "towers.safetensors"
    with pytest.raises(ValueError, match=r"expected a safetensors file, got none at .*towers\.safetensors$"):
        read_towers(path)
    save_file({"bias": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match=r"towers\.safetensors: expected towers of music and words"):
        read_towers(path)
    save_file(
        {"bias": torch.zeros(2)},
        path,
        metadata={"musegen": '{"sizes": {"heard": 1, "said": 1, "read": 1, "dim": 1, "hidden": 1}}'},
    )
    with pytest.raises(ValueError, match=r"missing .* unexpected 1 \(bias\)"):
        read_towers(path)
