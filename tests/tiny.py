"""A whole pipeline at toy size, with every parameter random: all its parts are real, and it makes a clip in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from helpers import randomise
from musegen.checkpoints import save_model
from musegen.conditioning.base import TextEncoder
from musegen.conditioning.caption import CaptionConditioner
from musegen.conditioning.conditioning import Conditioning
from musegen.conditioning.embedding import EmbeddingConditioner
from musegen.conditioning.seconds import SecondsConditioner
from musegen.flow.model import FlowModel
from musegen.flow.noise import hash_seed, item_noise
from musegen.flow.paths.cosine import CosinePath
from musegen.flow.paths.rectified import RectifiedFlow
from musegen.flow.regression import RegressionModel
from musegen.generation.folder import write_pipeline
from musegen.models.diffusion_transformer import DiffusionTransformer
from musegen.models.embedding_transformer import EmbeddingTransformer
from musegen.models.oobleck import OobleckAutoencoder
from musegen.pipeline import TextToMusic

EMBEDDING, TEXT, WIDTH = 32, 24, 16
CHANNELS, FRAMES, RATE = 4, 24, 8000
TRUST = ("tiny",)
"""The encoder below is no class of musegen, so that a folder that names it is loaded on trust only."""

PIPELINE: dict[str, Any] = {
    "text2muq": {"sampler": "heun", "steps": 4, "guidance": 3.0},
    "stable_audio_muq": {"sampler": "dpmpp_3m_sde", "steps": 6, "guidance": 2.0},
}


class TinyEncoder(TextEncoder):
    """One random state for each word, the same for the same word.

    Args:
        max_tokens: words of the longest caption.
    """

    dim = TEXT
    revision = "tiny-1"
    licence = "CC0-1.0"

    def __init__(self, max_tokens: int = 6) -> None:
        super().__init__()
        self.max_tokens = max_tokens

    def encode(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """See `TextEncoder.encode`."""
        states = torch.zeros(len(captions), self.max_tokens, self.dim)
        mask = torch.zeros(len(captions), self.max_tokens, dtype=torch.bool)
        for row, caption in enumerate(captions):
            words = caption.split()[: self.max_tokens]
            states[row, : len(words)] = item_noise([hash_seed(word) for word in words], (self.dim,))
            mask[row, : len(words)] = True
        return states, mask


def text2muq(encoder: TextEncoder | None = None, seed: int = 1) -> FlowModel:
    encoder = encoder or TinyEncoder()
    network = EmbeddingTransformer(
        dim=32, depth=2, heads=2, embedding_dim=EMBEDDING, embedding_tokens=2, text_dim=encoder.dim, null="learned"
    )
    conditioning = Conditioning({"caption": CaptionConditioner(encoder, cache_size=4)}, ["caption"])
    return _random(FlowModel(network, conditioning, RectifiedFlow(), normalise_output=True), seed)


def regression(seed: int = 1) -> RegressionModel:
    """The baseline of stage 1: its network and its conditioning."""
    flow = text2muq(seed=seed)
    model = RegressionModel(flow.network, flow.conditioning, normalise_output=True)
    return randomise(model, seed).eval()  # type: ignore[return-value]


def stable_audio_muq(seed: int = 2) -> FlowModel:
    network = DiffusionTransformer(
        channels=CHANNELS,
        frames=FRAMES,
        dim=64,
        depth=2,
        heads=2,
        condition_dim=WIDTH,
        vector_dim=2 * WIDTH,
        kv_heads=1,
    )
    times = ["seconds_start", "seconds_total"]
    conditioners = {name: SecondsConditioner(name, dim=WIDTH, high=1.0) for name in times}
    muq = EmbeddingConditioner(EMBEDDING, tokens=4, dim=WIDTH)
    conditioning = Conditioning({"muq": muq, **conditioners}, ["muq", *times], times)
    return _random(FlowModel(network, conditioning, CosinePath()), seed)


def vae(seed: int = 3) -> OobleckAutoencoder:
    net = OobleckAutoencoder(
        channels=4, multiples=[1, 2, 2], strides=[4, 8, 8], latent_channels=CHANNELS, sample_rate=RATE
    )
    randomise(net, seed)
    with torch.no_grad():
        net.decoder.layers[-1].weight_g.mul_(0.02)  # type: ignore[union-attr]
    return net


def save_pipeline(folder: Path, encoder: TextEncoder | None = None) -> Path:
    """A folder that `TextToMusic.load(folder, trust=tiny.TRUST)` loads."""
    save_model(text2muq(encoder), folder / "text2muq", licences=["CC-BY-4.0"])
    save_model(stable_audio_muq(), folder / "stable_audio_muq", licences=["CC-BY-4.0", "Apache-2.0"])
    save_model(vae(), folder / "vae", licences=["Apache-2.0"])
    write_pipeline(folder, **PIPELINE)
    return folder


def pipeline(**arguments: Any) -> TextToMusic:
    """The same pipeline without a folder, on the CPU."""
    return TextToMusic(
        text2muq(), stable_audio_muq(), vae(), **({"defaults": PIPELINE, "device": "cpu", "trust": TRUST} | arguments)
    )


def _random(model: FlowModel, seed: int) -> FlowModel:
    randomise(model, seed)
    shape = (len(model.statistics.mean),)
    mean, spread = (item_noise([seed], shape, stream)[0] for stream in (0, 1))
    model.statistics.set(0.1 * mean, 1 + 0.2 * spread.abs())
    return model
