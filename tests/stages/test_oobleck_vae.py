from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.utils.data import DataLoader

from helpers import randomise
from musegen.callbacks.ema import EMA
from musegen.flow.noise import training_noise
from musegen.models.discriminator import adversarial_loss, discriminator_loss, feature_matching_loss
from musegen.models.oobleck import OobleckAutoencoder
from musegen.models.reconstruction_loss import waveform_distance
from musegen.stages.export import export_entry
from musegen.stages.oobleck_vae import OobleckVAE
from vae_runs import flat, items, loader, stage, trainer


class Record(Callback):
    """The metrics and the discriminator's weights after each step."""

    def __init__(self) -> None:
        self.metrics: list[dict[str, float]] = []
        self.discriminators: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer, pl_module, *_: Any) -> None:
        self.metrics.append({name: float(value) for name, value in trainer.callback_metrics.items()})
        self.discriminators.append(flat(pl_module.discriminator))


def named(model: OobleckVAE) -> list[tuple[str, torch.nn.Parameter]]:
    assert model.discriminator is not None
    return [*model.model.named_parameters(), *model.discriminator.named_parameters()]


def test_it_overfits_and_then_meets_its_discriminator(tmp_path):
    model, record = (
        stage(adversarial_from_step=65, adversarial_ramp_steps=4, discriminator_learning_rate=3e-3),
        Record(),
    )
    before = trainer(tmp_path).validate(model, loader(), verbose=False)[0]
    fit = trainer(tmp_path, max_steps=80, callbacks=[record], gradient_clip_val=1.0)
    fit.fit(model, loader())
    after = trainer(tmp_path).validate(model, loader(), verbose=False)[0]
    assert fit.global_step == 80
    assert set(after) == {"val/loss", "val/stft", "val/mel", "val/si_sdr", "val/kl"}
    assert after["val/stft"] < 0.3 * before["val/stft"]
    assert after["val/mel"] < 0.6 * before["val/mel"]
    assert after["val/si_sdr"] > 0 > before["val/si_sdr"]
    waiting, opposed = record.discriminators[:65], record.discriminators[65:]
    assert all(torch.equal(weights, waiting[0]) for weights in waiting)
    assert not torch.equal(opposed[0], waiting[0])
    assert "train/adversarial" not in record.metrics[64]
    assert {"train/adversarial", "train/features", "train/discriminator"} <= set(record.metrics[65])


def test_one_backward_pass_gives_each_network_its_own_gradient(tmp_path):
    model = stage(adversarial_ramp_steps=3)
    assert model.discriminator is not None
    randomise(model.discriminator)
    twin = copy.deepcopy(model)
    model.trainer = trainer(tmp_path)
    batch = next(iter(loader()))
    model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    model.training_step(batch, 0).backward()

    posterior = twin.model.encode(batch["audio"])
    restored = twin.model.decode(posterior.sample(training_noise(batch["seed"], posterior.mean.shape[1:], 0)))
    judge = twin.discriminator
    assert judge is not None
    real, fake = judge(batch["audio"]), judge(restored)
    generator = (
        twin.reconstruction(restored, batch["audio"]).mean()
        + waveform_distance(restored, batch["audio"]).mean()
        + 1e-4 * posterior.kl().mean()
        + 0.25 * (0.1 * adversarial_loss(fake) + 5.0 * feature_matching_loss(real, fake))
    )
    wanted = torch.autograd.grad(generator, list(twin.model.parameters()))
    opposing = discriminator_loss(judge(batch["audio"]), judge(restored.detach()))
    wanted += torch.autograd.grad(opposing, list(judge.parameters()))
    got = [parameter.grad for _, parameter in named(model)]
    for ours, theirs in zip(got, wanted, strict=True):
        assert ours is not None
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
    still = [name for (name, _), gradient in zip(named(model), wanted, strict=True) if not gradient.any()]
    assert all(name.endswith("score.bias") for name in still)  # where all scores are small, the hinge's halves cancel


class Parts(L.LightningDataModule):
    """Eight items in order, dealt out to the processes one by one."""

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        mine = items(8)[self.trainer.global_rank :: self.trainer.world_size]
        return DataLoader(mine, batch_size=self.batch)  # type: ignore[arg-type]


def trained(folder: Path, batch: int, **options: Any) -> OobleckVAE:
    def descent(parameters: Any) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=1e-2, weight_decay=0.1)

    model = stage(adversarial_from_step=1, optimizer=descent, discriminator_learning_rate=1.0)
    trainer(folder, use_distributed_sampler=False, **options).fit(model, datamodule=Parts(batch))
    return model


def test_accumulated_batches_are_one_larger_batch(tmp_path):
    whole = trained(tmp_path, 4, max_epochs=1)
    parts = trained(tmp_path, 2, max_epochs=1, accumulate_grad_batches=2)
    assert parts.trainer.global_step == whole.trainer.global_step == 2
    torch.testing.assert_close(flat(parts), flat(whole), rtol=0, atol=1e-5)
    moved = [(after - before).abs().max() for (_, after), (_, before) in zip(named(whole), named(stage()), strict=True)]
    assert torch.stack(moved).gt(1e-5).float().mean() > 0.9


def test_two_processes_are_one_with_their_batches_together(tmp_path):
    alone = trained(tmp_path, 4, max_epochs=1)
    both = trained(tmp_path, 2, max_epochs=1, devices=2, strategy="ddp_fork")
    torch.testing.assert_close(flat(both), flat(alone), rtol=0, atol=1e-5)


class Clipped(Callback):
    """The norms of both networks' gradients as the optimizer took them."""

    def on_before_zero_grad(self, trainer, pl_module, optimizer) -> None:
        gradients = [[parameter.grad for parameter in group["params"]] for group in optimizer.param_groups]
        if gradients[0][0] is not None:
            self.norms = [float(torch.nn.utils.get_total_norm(group)) for group in gradients]


def test_each_network_is_clipped_by_its_own_norm(tmp_path):
    model, clipped = stage(), Clipped()
    trainer(tmp_path, max_steps=2, gradient_clip_val=0.005, callbacks=[clipped]).fit(model, loader())
    assert clipped.norms == pytest.approx([0.005, 0.005], rel=1e-3)


def test_it_resumes_exactly_with_its_average(tmp_path):
    def run(name: str, epochs: int, resume: str | None = None) -> dict[str, Any]:
        keep = ModelCheckpoint(tmp_path / name, save_last=True)
        model = stage(adversarial_from_step=2, adversarial_ramp_steps=2)
        fit = trainer(tmp_path, max_epochs=epochs, callbacks=[EMA(0.9), keep], enable_checkpointing=True)
        fit.fit(model, loader(6), ckpt_path=resume)
        return torch.load(tmp_path / name / "last.ckpt", weights_only=True)

    straight = run("straight", 4)
    run("half", 2)
    resumed = run("rest", 4, str(tmp_path / "half" / "last.ckpt"))
    assert straight["global_step"] == resumed["global_step"] == 12
    for part in ("state_dict", "current_model_state"):
        for name, value in straight[part].items():
            assert torch.equal(value, resumed[part][name]), (part, name)
    different = [not torch.equal(v, straight["current_model_state"][k]) for k, v in straight["state_dict"].items()]
    assert any(different)


def test_its_checkpoint_holds_what_an_export_needs(tmp_path):
    class Data(L.LightningDataModule):
        licences = ("CC-BY-4.0",)

        def train_dataloader(self) -> DataLoader:
            return loader()

    model, fit = stage(), trainer(tmp_path, max_steps=1)
    fit.fit(model, datamodule=Data())
    fit.save_checkpoint(tmp_path / "a.ckpt")
    checkpoint = torch.load(tmp_path / "a.ckpt", weights_only=True)
    entry = checkpoint["musegen"]
    assert entry == {"model": model.model.config, "prefix": "model.", "licences": ["CC-BY-4.0"]}
    exported = OobleckAutoencoder(**entry["model"]["init_args"])
    prefix, weights = entry["prefix"], checkpoint["state_dict"]
    state = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    exported.load_state_dict(state, strict=True)
    again = stage()
    again.on_load_checkpoint(checkpoint)
    assert again.licences == ["CC-BY-4.0"]


def test_an_export_entry_is_plain_and_sorted():
    model = OobleckAutoencoder(channels=4)
    assert export_entry(model, ["MIT", "CC0-1.0", "MIT"])["licences"] == ["CC0-1.0", "MIT"]


def test_it_trains_in_bf16(tmp_path):
    model = stage()
    fit = trainer(tmp_path, max_steps=2, precision="bf16-mixed")
    fit.fit(model, loader(), loader())
    assert {"train/stft", "val/mel"} <= set(fit.callback_metrics)
    assert all(value.isfinite() for value in fit.callback_metrics.values())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_an_items_noise_is_its_own(tmp_path):
    model = stage(discriminator=False)
    model.trainer = trainer(tmp_path)
    model.log = model.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    together = next(iter(loader(2, 2)))
    flipped = {name: together[name].flip(0) for name in ("audio", "seed")}
    losses = [model.training_step(batch, 0) for batch in (together, flipped)]
    apart = torch.stack([model.training_step(batch, 0) for batch in loader(2, 1)]).mean()
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(losses[0], apart)


def test_reconstruction_keeps_length_and_keys(tmp_path):
    model = stage()
    audio = torch.rand(2, 2, 1001)
    restored = model.eval().reconstruct(audio)
    assert restored.shape == audio.shape
    with torch.no_grad():
        whole = model.model.decode(model.model.encode(audio).mean)[..., :1001]
    torch.testing.assert_close(restored, whole, rtol=0, atol=1e-5)
    predicted = model.predict_step({"key": ["a", "b"], "audio": audio, "seed": torch.tensor([1, 2])}, 0)
    assert predicted["key"] == ["a", "b"]
    assert predicted["sample_rate"] == 44100


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match="got -1 and 0"):
        stage(adversarial_from_step=-1)
    with pytest.raises(ValueError, match=r"energy_first_steps of 0, or of more with an energy_weight, got 5 and 0\.0"):
        stage(energy_first_steps=5)


def low_chords() -> list[dict[str, Any]]:
    """Sixteen chords of two low tones, many of which a codec of few latents must tell apart by their phases."""
    chance = torch.Generator().manual_seed(0)
    time, made = torch.arange(2048) / 44100, []
    for index in range(16):
        pitch, phase = 60 + 340 * torch.rand(2, 1, generator=chance), 6.28 * torch.rand(2, 1, generator=chance)
        audio = torch.rand(2, 2, generator=chance) @ torch.sin(6.2832 * pitch * time + phase) * 0.4
        made.append({"key": f"chord{index}", "audio": audio, "seed": torch.tensor(1000 + index)})
    return made


def test_energy_first_leads_off_the_plateau(tmp_path):
    torch.manual_seed(0)
    codec = OobleckAutoencoder(channels=8, multiples=[1, 2, 4], strides=[4, 8, 8], latent_channels=32)
    model = stage(
        discriminator=False,
        autoencoder=codec,
        energy_weight=1.0,
        energy_first_steps=80,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-3, betas=(0.8, 0.99)),
    )
    data = DataLoader(low_chords(), batch_size=4)  # type: ignore[arg-type]
    trainer(tmp_path, max_steps=80, limit_val_batches=0).fit(model, data)
    reached = trainer(tmp_path).validate(model, data, verbose=False)[0]["val/si_sdr"]
    assert reached > 3


def test_the_other_distances_come_in_after_the_energy(tmp_path):
    shares = []

    class Shares(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
            shares.append(pl_module.late_share)

    model = stage(discriminator=False, energy_weight=1.0, energy_first_steps=2)
    trainer(tmp_path, max_steps=6, callbacks=[Shares()]).fit(model, loader())
    assert shares == [0.0, 0.0, 0.0, 0.5, 1.0, 1.0]


CONFIGS = Path(__file__).parents[2] / "configs" / "model"


@pytest.mark.parametrize(
    ("name", "parameters", "judged"),
    [
        ("oobleck_vae", 156_112_514, True),
        ("oobleck_vae_medium", 10_102_370, True),
        ("oobleck_vae_small", 3_984_914, False),
    ],
)
def test_shipped_configs_build_what_they_say(name, parameters, judged):
    from lightning.pytorch.cli import LightningArgumentParser

    parser = LightningArgumentParser()
    parser.add_lightning_class_args(L.LightningModule, "model", subclass_mode=True)
    config = parser.parse_path(str(CONFIGS / f"{name}.yaml"))
    with torch.device("meta"):
        model = parser.instantiate_classes(config)["model"]
    assert isinstance(model, OobleckVAE)
    assert sum(parameter.numel() for parameter in model.model.parameters()) == parameters
    assert (model.discriminator is not None) == judged
    configured = model.configure_optimizers()
    assert isinstance(configured, dict)
    rates = configured["lr_scheduler"]["scheduler"].base_lrs  # type: ignore[index]
    assert rates[1:] == ([3e-4] if judged else [])
