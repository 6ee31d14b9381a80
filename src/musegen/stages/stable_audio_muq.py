"""Stage 2: a MuQ-MuLan embedding to the latents of 44.1 kHz stereo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from musegen.flow.noise import hash_seed, training_noise
from musegen.models.oobleck import OobleckAutoencoder
from musegen.stages.flow_stage import FlowStage

EMBEDDING = 3
"""The stream of an item's randomness that its embedding is moved by, beside those of `FlowStage`."""


class StableAudioMuQ(FlowStage):
    """Stage 2: an embedding (with the start and length of the music, and the caption where configured) to latents.

    See `FlowStage` for the other arguments.

    Args:
        codec: folder of the Oobleck VAE that made the latents; needed to hear anything, not to train.
        embedding_noise: length of a random vector that training adds to the unit vector of what is heard, which is then
            brought back to unit length: so that no embedding gives away its song, and that what stage 1 samples may be
            a little off.
        cut_to: lengths in frames, one of which each batch is cut to in training, for a model that also makes shorter
            clips in less time; without any, batches stay as long as they come.
    """

    data_key = "latents"

    def __init__(
        self,
        *args: Any,
        codec: str | None = None,
        embedding_noise: float = 0.0,
        cut_to: Sequence[int] = (),
        steps: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, steps=steps, **kwargs)
        if embedding_noise < 0 or any(frames < 1 for frames in cut_to):
            got = f"{embedding_noise} and {list(cut_to)}"
            raise ValueError(f"expected embedding_noise of 0 or more and cut_to of 1 or more each, got {got}")
        self.embedding_noise, self.cut_to = embedding_noise, list(cut_to)
        self.codec_folder = codec
        self._codec: list[OobleckAutoencoder] = []  # in a list, so that its weights stay out of the checkpoint

    @property
    def codec(self) -> OobleckAutoencoder:
        """The Oobleck VAE, loaded at first use.

        Raises:
            ValueError: if no codec was configured.
        """
        if not self._codec:
            if self.codec_folder is None:
                raise ValueError("expected `codec`, the folder of the Oobleck VAE that made the latents, got none")
            from musegen.checkpoints import load_model

            self._codec.append(load_model(self.codec_folder, OobleckAutoencoder).eval().requires_grad_(False))
        return self._codec[0].to(self.device)

    def altered(self, batch: dict[str, Any]) -> dict[str, Any]:
        """With embeddings a little off, and cut to one of the lengths; see the class."""
        batch = dict(batch)
        if self.embedding_noise and "embedding" in batch:
            told = batch["embedding"].float()
            noise = training_noise(batch["seed"], told.shape[1:], EMBEDDING) / told.shape[1] ** 0.5
            batch["embedding"] = F.normalize(told + self.embedding_noise * noise, dim=1)
        if self.cut_to:
            chosen = hash_seed("frames", self.global_step) % len(self.cut_to)
            for name in {"latents", "mask"} & set(batch):
                batch[name] = batch[name][..., : self.cut_to[chosen]]
        return batch

    def generate(
        self,
        embedding: Tensor,
        seeds: Sequence[int] | None = None,
        *,
        seconds_start: Tensor | float = 0.0,
        seconds_total: Tensor | float | None = None,
        captions: Sequence[str] | None = None,
        shape: Sequence[int] | None = None,
        x0: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Sample latents for embeddings.

        Args:
            embedding: unit vectors, ``[items, dim]``.
            seeds: one for each item.
            seconds_start: where in the piece the latents begin.
            seconds_total: length of the piece; by default as long as the latents that are asked for.
            captions: for a model that also reads the prompt.
            shape: channels and frames; by default as many frames as ``x0`` has, or else as in training.
            x0: the starting noise itself, ``[items, channels, frames]``, in place of seeds.
            options: of `FlowModel.sample`.

        Returns:
            Latents ``[items, channels, frames]``.
        """
        batch: dict[str, Any] = {"embedding": embedding.to(self.device)}
        if shape is None:
            channels, frames = self.model.network.shape
            shape = (channels, frames if x0 is None else x0.shape[-1])
        if seconds_total is None:
            seconds_total = shape[-1] * self.codec.downsampling / self.codec.sample_rate
        for name, value in (("seconds_start", seconds_start), ("seconds_total", seconds_total)):
            batch[name] = torch.as_tensor(value, dtype=torch.float32, device=self.device).expand(len(embedding))
        if captions is not None:
            batch["caption"] = list(captions)
        return self.sample(batch, seeds, shape=shape, x0=x0, **options)

    def setup(self, stage: str) -> None:
        """Load the codec before anything is sampled that it could not decode.

        Raises:
            ValueError: to predict, if no codec was configured or its folder holds none.
        """
        if stage == "predict":
            _ = self.codec

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        """Sample and decode: the batch's key, caption, seed and what it is given, with ``latents`` and ``audio``."""
        embedding = batch["embedding"]
        latents = self.generate(
            embedding,
            batch["seed"].tolist(),
            seconds_start=batch.get("seconds_start", 0.0),
            seconds_total=batch.get("seconds_total"),
            captions=batch.get("caption"),
        )
        audio = self.decode(latents)
        return {
            **{name: batch[name] for name in ("key", "caption", "seed") if name in batch},
            "latents": latents,
            "audio": audio,
            "sample_rate": self.codec.sample_rate,
        }

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents to audio ``[items, audio_channels, samples]``, one item at a time, in chunks of fixed size."""
        return torch.cat([self.codec.decode_chunked(item) for item in latents.split(1)])
