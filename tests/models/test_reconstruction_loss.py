from __future__ import annotations

import pytest
import torch

from musegen.models.reconstruction_loss import MelDistance, MultiResolutionSTFT, scale_invariant_sdr, waveform_distance


def music(batch: int = 2, seed: int = 0) -> torch.Tensor:
    """Noise with a falling spectrum, unlike in the two channels."""
    white = torch.randn(batch, 2, 8192, generator=torch.Generator().manual_seed(seed))
    return 0.1 * white.cumsum(-1).diff(n=1, dim=-1, prepend=white[..., :1]) + 0.1 * white.roll(1, -1)


def flipped(audio: torch.Tensor) -> torch.Tensor:
    """The same left and right spectra, with mid and side exchanged."""
    return audio * torch.tensor([1.0, -1.0])[:, None]


LOSS = MultiResolutionSTFT(sizes=(1024, 256, 64))


def test_it_is_zero_at_identity():
    assert torch.equal(LOSS(music(), music()), torch.zeros(2))


def test_it_grows_with_the_distance():
    audio = music()
    distances = [LOSS(audio + level * music(seed=1), audio).mean() for level in (0.01, 0.1, 1.0)]
    assert distances[0] < distances[1] < distances[2]


def test_it_hears_mid_and_side():
    mono = music()[:, :1].expand(-1, 2, -1)
    lopsided = music()
    assert LOSS(flipped(mono), mono).min() > 1
    assert LOSS(flipped(lopsided), lopsided).max() > 0.01
    alone = [LOSS(flipped(mono)[:, channel : channel + 1], mono[:, channel : channel + 1]) for channel in (0, 1)]
    assert torch.stack(alone).max() < 1e-6  # each channel's own spectrum says nothing of it


def test_mid_and_side_count_as_left_and_right_do():
    def turned(audio: torch.Tensor) -> torch.Tensor:
        return torch.stack([audio[:, 0] + audio[:, 1], audio[:, 0] - audio[:, 1]], 1) * 0.5**0.5

    audio, other = music(), music(seed=1) * torch.tensor([1.0, 0.3])[:, None]
    torch.testing.assert_close(LOSS(turned(other), turned(audio)), LOSS(other, audio))


def test_it_is_each_items_own():
    audio, other = music(3), music(3, seed=1)
    together = LOSS(other, audio)
    apart = torch.cat([LOSS(other[i : i + 1], audio[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("silent", ["estimate", "target", "side", "both"])
def test_silence_gives_finite_values_and_gradients(silent):
    estimate, target = music(), music(seed=1)
    if silent in ("estimate", "both"):
        estimate = torch.zeros_like(estimate)
    if silent in ("target", "both"):
        target = torch.zeros_like(target)
    if silent == "side":
        target = target[:, :1].expand(-1, 2, -1)
    estimate.requires_grad_()
    distance = LOSS(estimate, target)
    distance.sum().backward()
    assert distance.isfinite().all()
    assert estimate.grad is not None
    assert estimate.grad.isfinite().all()
    if silent == "side":
        assert distance.max() < 5  # a silent side divides nothing by zero


def test_descending_it_restores_levels():
    target = music()
    gain = torch.full((2, 1, 1), 0.1, requires_grad=True)
    optimizer = torch.optim.Adam([gain], lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        LOSS(gain * target, target).sum().backward()
        optimizer.step()
    torch.testing.assert_close(gain.detach(), torch.ones_like(gain), rtol=0, atol=0.1)


def test_mono_audio_works_and_shapes_must_agree():
    assert LOSS(music()[:, :1], music(seed=1)[:, :1]).shape == (2,)
    with pytest.raises(ValueError, match=r"shaped \[2, 2, 8192\], got \[2, 2, 8191\]"):
        LOSS(music()[..., 1:], music())


def test_waveform_distance_is_relative():
    audio, other = music(), music(seed=1)
    assert torch.equal(waveform_distance(audio, audio), torch.zeros(2))
    torch.testing.assert_close(waveform_distance(torch.zeros_like(audio), audio), torch.ones(2), rtol=0, atol=0.02)
    louder = waveform_distance(3 * other, 3 * audio)
    torch.testing.assert_close(louder, waveform_distance(other, audio), rtol=0.02, atol=0)
    assert waveform_distance(audio, torch.zeros_like(audio)).isfinite().all()


def test_mel_distance_of_a_tenth_is_one():
    distance = MelDistance(44100)
    assert torch.equal(distance(music(), music()), torch.zeros(2))
    torch.testing.assert_close(distance(0.1 * music(), music()), torch.ones(2), rtol=0, atol=1e-3)


def test_si_sdr_knows_its_decibels_and_not_the_level():
    target = torch.randn(2, 2, 50_000, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 2, 50_000, generator=torch.Generator().manual_seed(1))
    ratio = scale_invariant_sdr(target + 0.1 * noise, target)
    torch.testing.assert_close(ratio, torch.full((2,), 20.0), rtol=0, atol=0.3)
    torch.testing.assert_close(scale_invariant_sdr(3 * (target + 0.1 * noise), target), ratio)
    assert scale_invariant_sdr(target, target).min() > 90
    assert scale_invariant_sdr(torch.zeros_like(target), target).isfinite().all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="a compiler for CPUs would take half a minute")
def test_compiled_it_is_the_same():
    audio = torch.randn(2, 2, 8192, device="cuda", requires_grad=True)
    target = torch.randn(2, 2, 8192, device="cuda")
    losses = (MultiResolutionSTFT((1024, 64), compile=compile).cuda() for compile in (True, False))
    found, expected = (loss(audio, target) for loss in losses)
    torch.testing.assert_close(found, expected)
    (ours,), (theirs,) = (torch.autograd.grad(distance.sum(), audio) for distance in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-7)
