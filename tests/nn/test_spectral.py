from __future__ import annotations

import math

import pytest
import torch

from musegen.nn.spectral import LogMel, ShortTimeFourier, magnitude


@pytest.mark.parametrize("size", [64, 512, 2048])
def test_white_noise_has_unit_power_at_every_size(size):
    noise = torch.randn(1, 2, 2**16, generator=torch.Generator().manual_seed(0))
    power = ShortTimeFourier(size)(noise)[..., 1:-1, 4:-4].abs().square().mean()
    assert abs(power - 1) < 0.05


def test_a_tone_is_found_at_its_frequency():
    time = torch.arange(44100) / 44100
    tone = torch.sin(2 * math.pi * 3000 * time)[None, None]
    spectrum = magnitude(ShortTimeFourier(1024)(tone))
    assert spectrum.shape == (1, 1, 513, 44100 // 256 + 1)
    assert spectrum.mean(-1).argmax() == round(3000 / 44100 * 1024)


def test_silence_has_a_finite_gradient():
    audio = torch.zeros(1, 2, 4096, requires_grad=True)
    magnitude(ShortTimeFourier(512)(audio)).sum().backward()
    assert audio.grad is not None
    assert audio.grad.isfinite().all()


def test_half_precision_input_is_analysed_in_float32():
    assert ShortTimeFourier(64)(torch.randn(1, 1, 640).bfloat16()).dtype == torch.complex64


def test_log_mel_follows_level_by_decades():
    mel, noise = LogMel(44100), torch.randn(1, 2, 22050)
    quiet = mel(0.1 * noise)
    assert quiet.shape == (1, 2, 128, 22050 // 512 + 1)
    torch.testing.assert_close(mel(noise) - quiet, torch.ones_like(quiet), rtol=0, atol=1e-3)


def test_an_odd_window_is_refused():
    with pytest.raises(ValueError, match="got 30"):
        ShortTimeFourier(30)
