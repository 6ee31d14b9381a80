from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from musegen.commands.probe import probe
from musegen.data.sample import Sample
from musegen.data.shard_writer import ShardWriter
from musegen.metrics.linear_probes import LinearProbe, probe_both_sides
from musegen.models.fact_heads import FactHeads, key_number, soft_tempo, tempo_of

KEYS = ("C major", "D minor", "Eb major", "F# minor")


def pieces(count: int, seed: int, dim: int = 48) -> tuple[torch.Tensor, list[dict]]:
    """Vectors that hold tempo, key and drums, each in directions of its own, and nothing of the genre."""
    chance, fixed = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(9)
    directions = torch.randn(8, dim, generator=fixed)
    vectors, facts = [], []
    for _ in range(count):
        tempo, key, drums, genre = (float(torch.rand(1, generator=chance)) for _ in range(4))
        place = int(key * 4)
        angle = 2.5 * tempo
        vector = np.cos(angle) * directions[0] + np.sin(angle) * directions[1] + directions[2 + place]
        vector = vector + (drums > 0.5) * directions[6] + 0.05 * torch.randn(dim, generator=chance)
        vectors.append(vector / vector.norm())
        facts.append({
            "tempo": 60 * 3**tempo, "key": KEYS[place], "mode": KEYS[place].split()[1],
            "family": ["jazz", "rock"][genre > 0.5],
            "instruments": ["drums", "piano"] if drums > 0.5 else ["flute", "piano"],
        })  # fmt: skip
    return torch.stack(vectors), facts


def test_it_reads_what_is_there_and_nothing_else():
    vectors, facts = pieces(400, 1)
    new, new_facts = pieces(200, 2)
    right = LinearProbe(vectors, facts).right(new, new_facts)
    assert right["key"] > 0.97
    assert right["mode"] > 0.97
    assert right["instruments"] > 0.97
    assert right["tempo"] > 0.6
    assert 0.3 < right["genre"] < 0.7


def test_both_sides_and_chance():
    vectors, facts = pieces(300, 1)
    new, new_facts = pieces(150, 2)
    table = probe_both_sides((vectors, vectors.flip(1), facts), (new, new.flip(1), new_facts))
    assert list(table) == ["music", "captions", "music → captions", "chance"]
    assert table["captions"]["key"] > 0.95 > 0.6 > table["music → captions"]["key"]
    assert table["chance"]["key"] < 0.45
    assert list(probe_both_sides((vectors, None, facts), (new, None, new_facts))) == ["music", "chance"]


def test_tempo_is_finer_than_its_bins():
    tempi = torch.tensor([47.0, 92.5, 120.0, 181.3])
    torch.testing.assert_close(tempo_of(soft_tempo(tempi).log()), tempi, rtol=0.004, atol=0)


@pytest.mark.parametrize(
    ("name", "number"), [("C major", 0), ("Bb major", 10), ("F# minor", 18), ("a minor", -1), (None, -1), ("C", -1)]
)
def test_keys_are_numbers(name, number):
    assert key_number(name) == number


def test_unknown_facts_count_nowhere():
    heads = FactHeads(4, ["piano"], ["jazz"])
    vectors = torch.randn(2, 4)
    facts = [{}, {"tempo": 90, "key": "C major", "mode": "major", "instruments": ["piano", "theremin"], "family": "x"}]
    losses = heads.losses(heads(vectors), heads.targets(facts, torch.device("cpu")))
    alone = heads.losses(heads(vectors[1:]), heads.targets(facts[1:], torch.device("cpu")))
    for name, loss in losses.items():
        torch.testing.assert_close(loss, alone[name])
    assert losses["genre"] == 0
    assert [len(hits) for hits in heads.hits(heads(vectors), heads.targets(facts, torch.device("cpu"))).values()] == [
        1, 1, 1, 1, 0
    ]  # fmt: skip


def test_the_command_prints_a_table(tmp_path, capsys):
    for name, seed in (("train", 1), ("test", 2)):
        vectors, facts = pieces(60, seed, 512)
        made_by = {"embedding": {"class_path": "musegen.conditioning.spectral.SpectralEmbedder", "init_args": {}}}
        with ShardWriter(tmp_path / name, made_by) as writer:
            for number, (vector, fact) in enumerate(zip(vectors, facts, strict=True)):
                told = {**fact, "captions": ["music"], "licence": "CC0-1.0"}
                writer.write(Sample(f"piece-{number}", told, vector[None].numpy()))
    probe(tmp_path / "train", tmp_path / "test", device="cpu", out=tmp_path / "a.json")
    printed = capsys.readouterr().out
    assert "60 pieces to fit on, 60 held out" in printed
    table = json.loads((tmp_path / "a.json").read_text())
    assert set(table) == {"music", "chance"}
    assert table["music"]["key"] > 0.9
    assert f"{table['music']['key']:.3f}" in printed
