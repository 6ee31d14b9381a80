"""What the hand-made embedding hears."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from musegen.conditioning.spectral import SpectralEmbedder

GOLDEN = [
    -0.0479, 0.012, -0.0582, 0.0144, -0.0125, 0.0244, 0.0026, -0.0033,
    0.0257, 0.051, -0.0087, -0.0057, -0.0133, -0.0126, -0.0089, -0.0053,
]  # fmt: skip
HARMONY = [-0.0482, 0.0292, 0.0276, -0.0043, -0.0015, 0.0067, 0.0707, -0.002]
RATE, SECONDS = SpectralEmbedder.sample_rate, 10


def piece(tempo: float, tonic: int, minor: bool, bright: bool, seed: int) -> Tensor:
    """Chords I IV V I of plucked tones, one a beat."""
    generator = torch.Generator().manual_seed(seed)
    third = 3 if minor else 4
    chords = [[0, third, 7], [5, 5 + third, 12], [7, 11, 14], [0, third, 7]]
    since = torch.arange(round(60 / tempo * RATE)) / RATE
    harmonics = torch.arange(1.0, 9.0 if bright else 3.0)[:, None]
    beats = []
    for number in range(-(-SECONDS * RATE // len(since))):
        notes = torch.tensor(chords[number // 4 % 4])
        phases = (2 * torch.pi * 130.8 * 2 ** ((notes + tonic) / 12))[:, None, None] * harmonics * since
        loudness = 0.5 + 0.5 * torch.rand(1, generator=generator)
        beats.append(loudness * torch.exp(-6 * since) * (torch.sin(phases) / harmonics**0.5).sum((0, 1)))
    audio = torch.cat(beats)[: SECONDS * RATE]
    return audio + 0.02 * torch.randn(len(audio), generator=generator)


def embed(*pieces: Tensor) -> Tensor:
    return SpectralEmbedder().embed_audio(torch.stack(pieces))


def test_vectors_have_unit_length_and_do_not_hear_loudness() -> None:
    one, other = piece(100, 0, False, True, 0), piece(77, 5, True, False, 1)
    vectors = embed(one, other, 0.01 * one, torch.zeros_like(one))
    assert vectors.shape == (4, 512)
    assert vectors.isfinite().all()
    assert torch.allclose(vectors.norm(dim=1), torch.ones(4), atol=1e-5)
    assert vectors[0] @ vectors[2] > 0.999
    assert vectors[0] @ vectors[1] < 0.8
    assert torch.equal(embed(one), embed(one))


def test_a_linear_probe_reads_tempo_key_mode_and_timbre() -> None:
    """Eight features that are told apart by a hyperplane fitted on other pieces."""
    chance = torch.Generator().manual_seed(0)

    def draw(high: int) -> int:
        return int(torch.randint(high, (1,), generator=chance))

    facts = [(70 + 60 * draw(2) + draw(5), 7 * draw(2), bool(draw(2)), bool(draw(2))) for _ in range(36)]
    vectors = embed(*(piece(*fact, seed=seed) for seed, fact in enumerate(facts)))
    wanted = torch.tensor([[tempo > 100, tonic == 7, minor, bright] for tempo, tonic, minor, bright in facts])
    target = wanted.float() * 2 - 1
    train, held = slice(0, 24), slice(24, 36)
    mean, offset = vectors[train].mean(0), target[train].mean(0)
    inputs = vectors - mean
    gram = inputs[train] @ inputs[train].T + 0.01 * torch.eye(24)
    weights = inputs[train].T @ torch.linalg.solve(gram, target[train] - offset)
    right = ((inputs[held] @ weights + offset > 0) == wanted[held]).float().mean(0)
    print("held-out accuracy of tempo, key, mode, timbre:", [round(share, 2) for share in right.tolist()])
    assert right.min() >= 0.9


def test_versions_differ_in_harmony_alone() -> None:
    music = piece(100, 0, False, True, 0)[None]
    old, new = (SpectralEmbedder(version).embed_audio(music)[0] for version in (1, 2))
    assert [SpectralEmbedder(version).revision for version in (1, 2)] == ["spectral-1", "spectral-2"]
    assert torch.equal(old[:240], new[:240])
    assert torch.equal(old[300:], new[300:])
    assert (old[240:300] - new[240:300]).abs().max() > 0.05
    with pytest.raises(ValueError, match="version: expected 1 or 2, got 3"):
        SpectralEmbedder(3)  # type: ignore[arg-type]


def test_version_1_has_not_changed() -> None:
    """Models were trained by it."""
    vector = SpectralEmbedder(1).embed_audio(piece(100, 0, False, True, 0)[None])[0]
    assert (vector[::32] - torch.tensor(GOLDEN)).abs().max() < 1e-4


def test_the_key_is_the_most_probable_of_24() -> None:
    keys = [(tonic, minor) for tonic in range(0, 12, 2) for minor in (False, True)]
    vectors = embed(*(piece(90 + tonic, tonic - 6, minor, tonic % 4 == 0, tonic) for tonic, minor in keys))
    heard = vectors[:, 276:300].argmax(1).tolist()
    assert heard == [(tonic - 6) % 12 + 12 * minor for tonic, minor in keys]
    assert (vectors[0, 240:276:5] - torch.tensor(HARMONY)).abs().max() < 1e-4


def test_it_knows_no_text() -> None:
    with pytest.raises(ValueError, match="audio only"):
        SpectralEmbedder().embed_text(["a waltz"])
