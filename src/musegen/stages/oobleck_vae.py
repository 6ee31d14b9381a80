"""The codec's training: a variational autoencoder of audio, at first by spectra, then against a discriminator too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

from musegen.flow.noise import training_noise
from musegen.interop.initialise_whole import load_whole
from musegen.models.discriminator import (
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from musegen.models.oobleck import OobleckAutoencoder
from musegen.models.posterior import Posterior
from musegen.models.reconstruction_loss import (
    MelDistance,
    MultiResolutionSTFT,
    energy_distance,
    scale_invariant_sdr,
    waveform_distance,
)
from musegen.stages.export import KEY, export_entry, licences_of
from musegen.stages.graphed import GraphedLosses, obstacle_to_graphs
from musegen.stages.resumable import ResumableStage
from musegen.stages.training_loss import TrainingLoss

ALONE = ("train/stft", "train/waveform", "train/energy", "train/kl")
OPPOSED = (*ALONE, "train/adversarial", "train/features", "train/discriminator")
NOISE = 0  # the stream of an item's randomness that its latents are sampled with


class OobleckVAE(ResumableStage):
    """Learn to compress and restore audio.

    Generator and discriminator learn from **one** backward pass: the generator's loss reaches through a discriminator
    whose parameters are held fixed, the discriminator's through a reconstruction that is detached, and the sum gives
    each parameter its own gradient. One optimizer holds both as parameter groups and steps once a batch. So this is
    automatic optimization, and everything of the Trainer holds here as in the other stages:
    ``accumulate_grad_batches`` (the gradients of k batches are averaged, and both networks step after the k-th),
    ``gradient_clip_val`` (for generator and discriminator separately, each by its own norm), ``max_steps`` (a step is
    one update of both), precision, DDP without searching for unused parameters, and exact resuming.

    A batch holds ``audio [batch, audio_channels, samples]`` and ``seed [batch]``, which keys the noise of the latents,
    so that the same global batch gives the same loss on one process and on many.

    Logged: ``train/loss`` and its terms ``train/stft``, ``train/waveform``, ``train/energy``, ``train/kl``,
    ``train/adversarial``, ``train/features``, beside ``train/discriminator`` (2 where it knows nothing); on held-out
    audio, decoded from the posterior's mean, ``val/loss`` and ``val/stft`` (the multi-resolution distance), ``val/mel``
    (log10 mel distance), ``val/si_sdr`` (dB, higher is better) and ``val/kl``.

    Args:
        autoencoder: what learns; exported as the model.
        discriminator: what it learns against; None trains by spectra alone.
        reconstruction: distance between audio and its reconstruction; by default at Stable Audio Open's sizes.
        reconstruction_weight: of that distance.
        waveform_weight: of the difference of samples relative to their size (1 where all is silent): the term that
            fixes phases without a discriminator.
        energy_weight: of the squared difference of samples relative to their energy (1 where all is silent).
        energy_first_steps: steps with that distance alone, then as many over which the others come in. Spectra say
            nothing of phases, and drown what does: a codec that begins with them stays below -20 dB for long.
        kl_weight: of the divergence of the posterior from a standard normal (summed over channels, without its half).
        adversarial_weight: of the discriminator's opinion.
        feature_weight: of feature matching.
        adversarial_from_step: optimizer step from which the discriminator learns and counts.
        adversarial_ramp_steps: steps over which its weight then rises from 0 to full.
        discriminator_learning_rate: the generator's is the optimizer's own.
        pretrained: start the autoencoder from these weights: a model folder, or a checkpoint's average.
        graphed: on one CUDA GPU, replay forward and backward pass as one graph: small networks wait for the host.
        optimizer: of both networks.
        scheduler: of the learning rate, counted in optimizer steps; multiplies both networks' rates.
        channels_last: keep activations with their channels innermost, as tensor cores read them in half precision.
        compile: ``torch.compile`` encoder and decoder for training.
    """

    def __init__(
        self,
        autoencoder: OobleckAutoencoder,
        discriminator: Discriminator | None = None,
        reconstruction: MultiResolutionSTFT | None = None,
        reconstruction_weight: float = 1.0,
        waveform_weight: float = 0.0,
        energy_weight: float = 0.0,
        energy_first_steps: int = 0,
        kl_weight: float = 1e-4,
        adversarial_weight: float = 0.1,
        feature_weight: float = 5.0,
        adversarial_from_step: int = 0,
        adversarial_ramp_steps: int = 0,
        discriminator_learning_rate: float = 3e-4,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        scheduler: LRSchedulerCallable | None = None,
        pretrained: str | None = None,
        graphed: bool = False,
        channels_last: bool = False,
        compile: bool = False,
    ) -> None:
        super().__init__()
        if adversarial_from_step < 0 or adversarial_ramp_steps < 0:
            raise ValueError(
                "expected adversarial_from_step and adversarial_ramp_steps of 0 or more, "
                f"got {adversarial_from_step} and {adversarial_ramp_steps}"
            )
        if energy_first_steps < 0 or (energy_first_steps and not energy_weight):
            raise ValueError(
                "expected energy_first_steps of 0, or of more with an energy_weight, "
                f"got {energy_first_steps} and {energy_weight}"
            )
        self.model = autoencoder
        self.discriminator = discriminator
        self.reconstruction = reconstruction or MultiResolutionSTFT()
        self.mel = MelDistance(autoencoder.sample_rate)
        self.reconstruction_weight = reconstruction_weight
        self.waveform_weight = waveform_weight
        self.energy_weight = energy_weight
        self.energy_first_steps = energy_first_steps
        self.kl_weight = kl_weight
        self.adversarial_weight = adversarial_weight
        self.feature_weight = feature_weight
        self.adversarial_from_step = adversarial_from_step
        self.adversarial_ramp_steps = adversarial_ramp_steps
        self.discriminator_learning_rate = discriminator_learning_rate
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.pretrained = pretrained
        self.graphed = graphed
        self.graphs: GraphedLosses | None = None
        self.licences: list[str] = []
        self.training_loss = TrainingLoss()
        if pretrained is not None:
            report = load_whole(autoencoder, pretrained)
            self.licences = list(report.licences)
            rank_zero_info(str(report))
        self.model.use_channels_last(channels_last)
        if compile:
            self.model.encoder.compile()
            self.model.decoder.compile()

    # --- training

    def on_fit_start(self) -> None:
        """Take over the licences of the data."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        self.licences = licences_of(self.licences, data)

    @property
    def adversarial_share(self) -> float:
        """How much of its full weight the discriminator has at this step, 0 before it begins."""
        steps = self.global_step - self.adversarial_from_step
        if self.discriminator is None or steps < 0:
            return 0.0
        return min(1.0, (steps + 1) / (self.adversarial_ramp_steps + 1))

    def on_train_start(self) -> None:
        """See whether steps can be graphed; otherwise say why they are not."""
        super().on_train_start()
        self.graphs = None
        if not self.graphed:
            return
        obstacle = obstacle_to_graphs(self)
        if obstacle:
            rank_zero_info(f"graphed: steps run as written, {obstacle}")
        else:
            self.graphs = GraphedLosses(list(self.parameters()))

    @property
    def late_share(self) -> float:
        """How much of their full weight the distances have that come after the energy's."""
        if self.energy_first_steps == 0:
            return 1.0
        return min(1.0, max(0.0, self.global_step / self.energy_first_steps - 1.0))

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """The sum of the generator's and the discriminator's losses."""
        audio = batch["audio"]
        share = self.adversarial_share
        losses, names = (self._opposed, OPPOSED) if share > 0 else (self._alone, ALONE)
        shares = (torch.full((), part, device=audio.device) for part in (self.late_share, share))
        inputs = (audio, batch["seed"], *shares)
        values = losses(*inputs) if self.graphs is None else self.graphs(names[-1], losses, *inputs)
        items, told = len(audio), values.detach().unbind()
        self.training_loss.log(self, told[1], items)
        self.log_dict(dict(zip(names, told[2:], strict=True)), batch_size=items)
        return values[0]

    def _alone(self, audio: Tensor, seed: Tensor, late: Tensor, share: Tensor) -> Tensor:
        """What is minimised while no discriminator counts, the generator's loss, and the terms of `ALONE`."""
        restored, terms = self._restore(audio, seed)
        loss = self._generator_loss(terms, late)
        minimised = loss if self.discriminator is None else loss + self._untouched(self.discriminator, restored)
        return torch.stack([minimised, loss, *terms.values()])

    def _opposed(self, audio: Tensor, seed: Tensor, late: Tensor, share: Tensor) -> Tensor:
        """What is minimised against a discriminator, the generator's part of it, and the terms of `OPPOSED`."""
        assert self.discriminator is not None
        restored, terms = self._restore(audio, seed)
        real = self.discriminator(audio)
        with held(self.discriminator):
            seeming = self.discriminator(restored)
        terms |= {
            "adversarial": adversarial_loss(seeming),
            "features": feature_matching_loss(real, seeming),
            "discriminator": discriminator_loss(real, self.discriminator(restored.detach())),
        }
        opinion = self.adversarial_weight * terms["adversarial"] + self.feature_weight * terms["features"]
        loss = self._generator_loss(terms, late) + share * opinion
        return torch.stack([loss + terms["discriminator"], loss, *terms.values()])

    def _restore(self, audio: Tensor, seed: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """A reconstruction from sampled latents, and how far it is off."""
        posterior = self.model.encode(audio)
        noise = training_noise(seed, posterior.mean.shape[1:], NOISE).to(posterior.mean)
        restored = self._decode(posterior.sample(noise), audio)
        return restored, self._distances(restored, audio, posterior)

    def _decode(self, latents: Tensor, audio: Tensor) -> Tensor:
        return self.model.decode(latents)[..., : audio.shape[-1]]  # without the silence that fills the last frame

    def _distances(self, restored: Tensor, audio: Tensor, posterior: Posterior) -> dict[str, Tensor]:
        return {
            "stft": self.reconstruction(restored, audio).mean(),
            "waveform": waveform_distance(restored, audio).mean(),
            "energy": energy_distance(restored, audio).mean(),
            "kl": posterior.kl().mean(),
        }

    def _generator_loss(self, terms: dict[str, Tensor], late: Tensor | float = 1.0) -> Tensor:
        later = self.reconstruction_weight * terms["stft"] + self.waveform_weight * terms["waveform"]
        return late * later + self.energy_weight * terms["energy"] + self.kl_weight * terms["kl"]

    def _untouched(self, discriminator: Discriminator, restored: Tensor) -> Tensor:
        """A zero that gives the discriminator zero gradients where DDP waits for them."""
        if self.trainer.world_size == 1:
            return restored.new_zeros(())
        return 0.0 * torch.stack([parameter.sum() for parameter in discriminator.parameters()]).sum()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One optimizer over both networks; the schedule steps with it."""
        groups: list[dict[str, Any]] = [{"params": list(self.model.parameters())}]
        if self.discriminator is not None:
            rate = self.discriminator_learning_rate
            groups.append({"params": list(self.discriminator.parameters()), "lr": rate})
        optimizer = self.optimizer(groups)
        if self.scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler(optimizer), "interval": "step"},
        }

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Leave the discriminator as it is, its optimizer's state too, until it begins."""
        if self.discriminator is not None and self.adversarial_share == 0:
            for parameter in self.discriminator.parameters():
                parameter.grad = None

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip generator and discriminator each by its own norm: one's large gradients do not slow the other."""
        if not gradient_clip_val:
            return
        clip = clip_grad_value_ if gradient_clip_algorithm == "value" else clip_grad_norm_
        for group in optimizer.param_groups:
            clip(group["params"], gradient_clip_val)

    # --- judging

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """Distances of audio that was decoded from the posterior's mean."""
        audio = batch["audio"]
        posterior = self.model.encode(audio)
        restored = self._decode(posterior.mean, audio)
        terms = self._distances(restored, audio, posterior)
        figures = {
            "loss": self._generator_loss(terms),
            "stft": terms["stft"],
            "kl": terms["kl"],
            "mel": self.mel(restored, audio).mean(),
            "si_sdr": scale_invariant_sdr(restored, audio).mean(),
        }
        self.log_dict({f"val/{name}": value for name, value in figures.items()}, batch_size=len(audio), sync_dist=True)

    test_step = validation_step

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Reconstruct the items of a batch in chunks; the result carries their keys."""
        audio = self.reconstruct(batch["audio"])
        kept = {name: batch[name] for name in ("key", "caption", "seed") if name in batch}
        return {**kept, "audio": audio, "sample_rate": self.model.sample_rate}

    @torch.inference_mode()
    def reconstruct(self, audio: Tensor) -> Tensor:
        """Encode and decode ``[batch, audio_channels, samples]`` by the posterior's mean, with memory for one chunk."""
        restored = self.model.decode_chunked(self.model.encode_chunked(audio).mean)
        return restored[..., : audio.shape[-1]]

    # --- checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Carry what an export needs: the autoencoder's recipe and the licences of its data."""
        super().on_save_checkpoint(checkpoint)
        checkpoint[KEY] = export_entry(self.model, self.licences)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the licences of what was learned before."""
        super().on_load_checkpoint(checkpoint)
        self.licences = list(checkpoint.get(KEY, {}).get("licences", []))


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Within this, what a module computes has gradients for its inputs but not for its parameters."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
