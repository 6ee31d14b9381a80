from __future__ import annotations

import json

import pytest
import torch

from musegen.models.oobleck import OobleckAutoencoder
from musegen.models.posterior import Posterior
from musegen.nn.weight_norm import WeightNormed, channels_innermost
from published_autoencoders import random_autoencoder

SMALL = {"channels": 6, "multiples": [1, 2, 3], "strides": [2, 4, 8], "latent_channels": 5}


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def parameters(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_it_has_the_published_size():
    with torch.device("meta"):
        model = OobleckAutoencoder()
    assert parameters(model.encoder) == 77_989_888
    assert parameters(model.decoder) == 78_122_626
    assert parameters(model) == 156_112_514
    assert (model.downsampling, model.latent_channels, model.audio_channels, model.sample_rate) == (2048, 64, 2, 44100)


def test_its_recipe_builds_it_again():
    model = OobleckAutoencoder(**SMALL)
    recipe = json.loads(json.dumps(model.config))
    assert recipe["class_path"] == "musegen.models.oobleck.OobleckAutoencoder"
    again = OobleckAutoencoder(**recipe["init_args"])
    again.load_state_dict(model.state_dict(), strict=True)


def test_its_context_is_what_gradients_reach():
    model = random_autoencoder(**SMALL).double()
    frames, step, middle = 60, model.downsampling, 30
    audio = noise(1, 2, frames * step, dtype=torch.double).requires_grad_()
    model.encode(audio).mean[..., middle].sum().backward()
    reached = audio.grad.abs().sum(1)[0].nonzero().flatten() / step  # type: ignore[union-attr]
    assert middle - model.encoder_context <= reached[0] < middle - model.encoder_context + 1
    assert middle + model.encoder_context < reached[-1] < middle + model.encoder_context + 1
    latents = noise(1, 5, frames, dtype=torch.double).requires_grad_()
    model.decode(latents)[..., middle * step : (middle + 1) * step].sum().backward()
    reached = latents.grad.abs().sum(1)[0].nonzero().flatten()  # type: ignore[union-attr]
    assert int(reached[0]) == middle - model.decoder_context
    assert int(reached[-1]) == middle + model.decoder_context


def test_the_published_context():
    with torch.device("meta"):
        model = OobleckAutoencoder()
    assert (model.encoder_context, model.decoder_context) == (8, 10)


@pytest.mark.parametrize("frames", [1, 30, 61, 64, 100])
@torch.no_grad()
def test_chunked_is_the_whole(frames):
    model = random_autoencoder(**SMALL)
    audio, latents = noise(2, 2, frames * model.downsampling - 3), noise(2, 5, frames)
    whole, chunked = model.encode(audio), model.encode_chunked(audio, chunk_frames=20)
    decoded = model.decode(latents)
    differences = [
        whole.mean - chunked.mean,
        whole.std - chunked.std,
        decoded - model.decode_chunked(latents, chunk_frames=20),
    ]
    assert min(whole.mean.std(), whole.std.std(), decoded.std()) > 0.1
    largest = max(float(difference.abs().max()) for difference in differences)
    print(f"chunked against whole, {frames} frames: {largest:.1e}")
    assert largest <= 1e-5


def test_less_context_would_not_do(monkeypatch):
    model = random_autoencoder(**SMALL).double()
    latents = noise(1, 5, 100, dtype=torch.double)
    audio = noise(1, 2, 100 * model.downsampling, dtype=torch.double)
    decoded, mean = model.decode(latents), model.encode(audio).mean
    assert (decoded - model.decode_chunked(latents, 20)).abs().max() < 1e-13
    assert (mean - model.encode_chunked(audio, 20).mean).abs().max() < 1e-13
    monkeypatch.setattr(OobleckAutoencoder, "decoder_context", model.decoder_context - 1)
    monkeypatch.setattr(OobleckAutoencoder, "encoder_context", model.encoder_context - 1)
    assert (decoded - model.decode_chunked(latents, 20)).abs().max() > 1e-11
    assert (mean - model.encode_chunked(audio, 20).mean).abs().max() > 1e-11


def test_every_window_has_one_size_however_long_the_music():
    model = random_autoencoder(**SMALL)
    seen: dict[str, list[torch.Size]] = {"encoder": [], "decoder": []}
    for name, shapes in seen.items():
        getattr(model, name).register_forward_pre_hook(lambda _, inputs, shapes=shapes: shapes.append(inputs[0].shape))
    told: list[tuple[int, int]] = []
    for frames in (100, 233):
        model.encode_chunked(noise(1, 2, frames * model.downsampling), chunk_frames=20)
        model.decode_chunked(noise(1, 5, frames), chunk_frames=20, progress=lambda *done: told.append(done))
    width = 20 + 2 * model.encoder_context
    assert set(seen["encoder"]) == {(1, 2, width * model.downsampling)}
    assert set(seen["decoder"]) == {(1, 5, 20 + 2 * model.decoder_context)}
    assert told[-1] == (11, 11)


def test_folding_changes_neither_the_network_nor_its_export():
    model = random_autoencoder(**SMALL)
    audio, latents = noise(1, 2, 640), noise(1, 5, 10)
    with torch.no_grad():
        mean, decoded = model.encode(audio).mean, model.decode(latents)
        names = list(model.state_dict())
        model.fold_weight_norm()
        differences = [model.encode(audio).mean - mean, model.decode(latents) - decoded]
        exported = OobleckAutoencoder(**SMALL)
        exported.load_state_dict(model.state_dict(), strict=True)
        differences += [exported.encode(audio).mean - mean, exported.decode(latents) - decoded]
    largest = max(float(difference.abs().max()) for difference in differences)
    print(f"folded against unfolded: {largest:.1e}")
    assert largest <= 1e-5
    assert list(model.state_dict()) == names
    assert not any(parameter.requires_grad for parameter in model.decoder.layers[0].parameters())


def test_the_layout_in_memory_changes_nothing_and_lasts():
    autoencoder = random_autoencoder(**SMALL).double()
    audio = torch.rand(2, 2, 8 * autoencoder.downsampling, dtype=torch.double) - 0.5

    def computed() -> list[torch.Tensor]:
        posterior = autoencoder.encode(audio)
        restored = autoencoder.decode(posterior.mean)
        return [posterior.mean, restored, *torch.autograd.grad(restored.square().sum(), list(autoencoder.parameters()))]

    expected = computed()
    kept = []
    for layer in autoencoder.modules():
        if isinstance(layer, WeightNormed):
            layer.register_forward_hook(lambda layer, inputs, out: kept.append(channels_innermost(out)))
    autoencoder.use_channels_last()
    for found, wanted in zip(computed(), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert kept
    assert all(kept)


@pytest.mark.parametrize("recompute", [False, True])
def test_every_parameter_has_a_finite_gradient(recompute):
    model = random_autoencoder(**SMALL, gradient_checkpointing=recompute).train()
    posterior = model.encode(noise(2, 2, 1280))
    restored = model.decode(posterior.sample(noise(*posterior.mean.shape, seed=1)))
    (restored.square().mean() + posterior.kl().mean()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_a_posterior_has_the_divergence_of_torchs_normals():
    posterior = Posterior.from_parameters(noise(3, 8, 10))
    normals = torch.distributions.Normal(posterior.mean, posterior.std)
    expected = torch.distributions.kl_divergence(normals, torch.distributions.Normal(0.0, 1.0)).sum(1).mean(-1)
    torch.testing.assert_close(posterior.kl(), 2 * expected)
    assert posterior.std.min() > 1e-4


def test_audio_is_filled_up_to_a_whole_frame():
    model = random_autoencoder(**SMALL)
    audio = noise(1, 2, 100)
    assert model.frames(100) == 2
    padded = torch.nn.functional.pad(audio, (0, 28))
    assert torch.equal(model.encode(audio).mean, model.encode(padded).mean)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.encode(torch.zeros(1, 1, 64)), r"expected audio \[batch, 2, samples\], got \[1, 1, 64\]"),
        (lambda model: model.encode(torch.zeros(2, 64)), r"got \[2, 64\]"),
        (lambda model: model.decode(torch.zeros(1, 6, 3)), r"expected latents \[batch, 5, frames\], got \[1, 6, 3\]"),
        (lambda model: model.decode_chunked(torch.zeros(1, 5, 0)), r"got \[1, 5, 0\]"),
        (lambda model: OobleckAutoencoder(strides=[2, 3], multiples=[1, 2]), r"even strides, got \[2, 3\]"),
        (lambda model: OobleckAutoencoder(strides=[2, 4]), "as many multiples as strides, got 5 and 2"),
    ],
)
def test_wrong_shapes_get_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call(OobleckAutoencoder(**SMALL))
