from __future__ import annotations

import pytest
import torch

from helpers import randomise
from musegen.models.discriminator import Verdict, adversarial_loss, discriminator_loss, feature_matching_loss
from musegen.models.spectral_discriminator import SpectralDiscriminator


def small(audio_channels: int = 2) -> SpectralDiscriminator:
    model = randomise(SpectralDiscriminator(channels=4, sizes=(512, 128), audio_channels=audio_channels), 1)
    assert isinstance(model, SpectralDiscriminator)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(3)  # loud enough for every layer to hear the audio and not its biases alone
    return model


def audio(seed: int = 0, channels: int = 2) -> torch.Tensor:
    return 0.3 * torch.randn(2, channels, 4096, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 2])
def test_it_gives_a_verdict_for_each_size(channels):
    verdicts = small(channels)(audio(channels=channels))
    assert len(verdicts) == 2
    frames = 4096 // 128 + 1
    assert verdicts[0].score.shape == (2, 1, 33, frames)  # 257 bins, halved three times
    assert [feature.shape[1:] for feature in verdicts[0].features] == [
        (4, bins, frames) for bins in (257, 129, 65, 33, 33)
    ]
    assert verdicts[0].score.std() > 0.1


def test_every_parameter_has_a_finite_gradient():
    model = small()
    sum(verdict.score.square().mean() for verdict in model(audio())).backward()  # type: ignore[union-attr]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_it_hears_phase():
    model = small()
    first, second = model(audio()), model(-audio())
    assert not torch.allclose(first[0].score, second[0].score, atol=1e-3)


def test_the_layout_in_memory_changes_nothing_and_lasts():
    model = small().double()
    expected = model(audio().double())
    model.layout = torch.channels_last
    for found, wanted in zip(model(audio().double()), expected, strict=True):
        torch.testing.assert_close(found.score, wanted.score)
        for feature in found.features:
            assert feature.is_contiguous(memory_format=torch.channels_last)


def verdict(score: float, feature: float) -> list[Verdict]:
    return [Verdict(torch.full((1, 1, 4), score), [torch.full((1, 2, 4), feature)])]


def test_losses_of_known_verdicts():
    assert discriminator_loss(verdict(0.0, 1.0), verdict(0.0, 1.0)) == 2
    assert discriminator_loss(verdict(1.5, 1.0), verdict(-1.5, 1.0)) == 0
    assert discriminator_loss(verdict(-1.0, 1.0), verdict(1.0, 1.0)) == 4
    assert adversarial_loss(verdict(0.7, 1.0)) == pytest.approx(-0.7)
    assert feature_matching_loss(verdict(0.0, 2.0), verdict(0.0, 3.0)) == pytest.approx(0.5)


def test_features_of_real_audio_get_no_gradient():
    model = small()
    real, fake = audio().requires_grad_(), audio(1).requires_grad_()
    feature_matching_loss(model(real), model(fake)).backward()
    assert real.grad is None
    assert fake.grad is not None


def test_it_learns_to_tell_music_from_noise():
    model = SpectralDiscriminator(channels=4, sizes=(256,))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    real = torch.sin(torch.arange(4096) * 0.05).expand(2, 2, -1) * 0.5
    losses = []
    for step in range(40):
        optimizer.zero_grad()
        loss = discriminator_loss(model(real), model(audio(step)))
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
