"""The decoder with folded weights decodes the same."""

from __future__ import annotations

import pytest
import torch

import tiny
from musegen.models.fast_decoder import FastDecoder


@pytest.mark.parametrize("frames", [1, 5, 24])
def test_fast_decoder_is_the_decoder(frames: int) -> None:
    vae = tiny.vae()
    latents = torch.randn(2, vae.latent_channels, frames, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = vae.decode(latents)
        found = FastDecoder(vae, torch.float32)(latents)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.std()))


def test_half_precision_keeps_the_scales_of_the_activations() -> None:
    vae = tiny.vae()
    fast = FastDecoder(vae, torch.bfloat16)
    assert fast.layers[-2].frequency.dtype == torch.float32  # type: ignore[union-attr]
    latents = torch.randn(1, vae.latent_channels, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        error = (fast(latents) - vae.decode(latents)).norm() / vae.decode(latents).norm()
    assert float(error) < 0.05
