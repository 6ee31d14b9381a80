"""Golden values, known answers, and that an item's noise is its own."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from musegen.flow.noise import MASK, hash_seed, item_noise, philox, training_noise, training_uniform


def bits(values: Tensor) -> str:
    return " ".join(f"{word & MASK:08x}" for word in values.flatten().view(torch.int32).tolist())


def test_generation_golden_values() -> None:
    assert bits(item_noise([0], (6,))) == "3e231e5a bfe3189c 3fa9cb24 3f9a372f bd202b37 bf04f8aa"
    assert bits(item_noise([7, 2**63], (2, 2), "start", 3)) == (
        "3fceab6c bf9d674c bed74e26 bf42989c c001726c 3eb558a0 3f99bd01 bfdf5ea4"
    )


@pytest.mark.parametrize("shape", [(512,), (64, 100), (2, 3, 5)])
def test_generation_noise_belongs_to_the_item(shape: tuple[int, ...]) -> None:
    seeds = [5, 0, 2**64 - 1, 12]
    together = item_noise(seeds, shape, "start", 2)
    assert together.shape == (4, *shape)
    for place, seed in enumerate(seeds):
        assert torch.equal(item_noise([seed], shape, "start", 2)[0], together[place])
    for other in (item_noise(seeds, shape, "sampler", 2), item_noise(seeds, shape, "start", 3)):
        assert not (other == together).any()
    longer = item_noise(seeds, (*shape[:-1], shape[-1] + 7), "start", 2)
    assert torch.equal(longer[..., : shape[-1]], together)


def test_generation_noise_is_standard_normal() -> None:
    noise = item_noise(range(64), (64, 256)).double()
    assert abs(float(noise.mean())) < 5 / noise.numel() ** 0.5
    assert abs(float(noise.var()) - 1) < 5 * (2 / noise.numel()) ** 0.5
    assert abs(float(noise.pow(4).mean()) - 3) < 5 * (96 / noise.numel()) ** 0.5


@pytest.mark.parametrize("arguments", [([-1], 0, 0), ([2**64], 0, 0), ([1], -1, 0), ([1], 0, -1)])
def test_generation_refuses_what_is_no_seed(arguments: tuple[list[int], int, int]) -> None:
    seeds, stream, step = arguments
    with pytest.raises(ValueError, match="is an integer from 0"):
        item_noise(seeds, (3,), stream, step)


# kat_vectors of Random123, "philox4x32 10": counter, key, words
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: str, key: str, words: str) -> None:
    def tensors(text: str) -> list[Tensor]:
        return [torch.tensor([int(word, 16)]) for word in text.split()]

    assert " ".join(f"{int(word):08x}" for word in philox(tensors(counter), tensors(key))) == words


def test_training_golden_values() -> None:
    seeds = torch.tensor([0, 1, 2**62 + 5])
    assert bits(training_uniform(seeds, 3)) == "3f70a90b 3f09e3af 3f771689"
    expected = [
        [0.0455523617, 1.0179631710, -0.5043754578, 1.3499966860, -0.1992188394],
        [-1.2708853483, -0.2291295826, -0.4617925286, -2.2053644657, 0.3197875321],
        [0.5210725069, 0.5041950941, -0.6281872988, -2.4131636620, -0.8473594189],
    ]
    torch.testing.assert_close(training_noise(seeds, (5,), 2), torch.tensor(expected), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shape", [(1,), (7,), (64, 33)])
def test_training_noise_belongs_to_the_item(shape: tuple[int, ...]) -> None:
    seeds = torch.tensor([hash_seed("run", epoch, "key") for epoch in range(5)])
    uniforms, normals = training_uniform(seeds, 1), training_noise(seeds, shape, 1)
    assert normals.shape == (5, *shape)
    for place in range(5):
        alone = seeds[place : place + 1]
        assert torch.equal(training_uniform(alone, 1)[0], uniforms[place])
        assert torch.equal(training_noise(alone, shape, 1)[0], normals[place])
    assert not (training_noise(seeds, shape, 2) == normals).any()
    longer = training_noise(seeds, (*shape[:-1], shape[-1] + 9), 1)
    torch.testing.assert_close(longer[..., : shape[-1]], normals, rtol=0, atol=2e-6)


def test_training_draws_have_their_distributions() -> None:
    seeds = torch.arange(100_000)
    uniforms = training_uniform(seeds).double()
    assert 0 < float(uniforms.min()) < 1e-3
    assert 1 - 1e-3 < float(uniforms.max()) < 1
    # Kolmogorov and Smirnov: 1.95 / sqrt(n) is passed once in a thousand
    distance = (uniforms.sort().values - torch.arange(0.5, 100_000) / 100_000).abs().max()
    assert float(distance) < 1.95 / 100_000**0.5
    noise = training_noise(seeds[:200], (4096,)).double()
    count = noise.numel()
    assert abs(float(noise.mean())) < 5 / count**0.5
    assert abs(float(noise.var()) - 1) < 5 * (2 / count) ** 0.5
    assert abs(float(noise.pow(4).mean()) - 3) < 5 * (96 / count) ** 0.5
    correlation = torch.corrcoef(noise.reshape(-1, 4).T) - torch.eye(4)
    assert float(correlation.abs().max()) < 5 / (count / 4) ** 0.5


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_draws_are_those_of_the_cpu_on_a_gpu() -> None:
    seeds = torch.tensor([hash_seed(item) for item in range(64)])
    assert torch.equal(training_uniform(seeds.cuda(), 3).cpu(), training_uniform(seeds, 3))
    normals = training_noise(seeds, (64, 129), 3)
    torch.testing.assert_close(training_noise(seeds.cuda(), (64, 129), 3).cpu(), normals, rtol=0, atol=5e-6)


def test_training_refuses_other_seeds() -> None:
    with pytest.raises(ValueError, match="int64"):
        training_uniform(torch.zeros(3))
    with pytest.raises(ValueError, match="stream"):
        training_noise(torch.zeros(3, dtype=torch.int64), (4,), -1)


def test_hash_seed_is_stable_and_tells_parts_apart() -> None:
    assert hash_seed("a", 1) == 5159940926865492875
    seeds = {hash_seed(*parts) for parts in [(), (12,), ("12",), (1, 2), ("1", 2), ("1", "2"), ("i1", "2"), ("", "12")]}
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    program = "from musegen.flow.noise import hash_seed; print(hash_seed('a', 1))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == str(
        hash_seed("a", 1)
    )
