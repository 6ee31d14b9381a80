"""musegen's own joint embedder, in MuQ-MuLan's place: small, offline, and free to use."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from musegen.checkpoints import WEIGHTS, load_model, read_config, read_licences
from musegen.conditioning.base import Embedder
from musegen.conditioning.frozen import Frozen
from musegen.conditioning.minilm import MiniLM
from musegen.models.joint_embedder import JointEmbedder

SHIPPED = Path(__file__).parents[1] / "weights" / "default" / "joint"


class Joint(Frozen, Embedder):
    """Vectors of music and of captions by a `JointEmbedder` that `JointEmbedding` trained, in float32.

    Captions go through the networks one at a time: a vector's bits do not depend on the neighbours. What a vector was
    made by is in its revision, as a hash of the weights.

    Args:
        model: folder of an exported joint embedder; None for the one that ships with musegen.
    """

    def __init__(self, model: str | None = None) -> None:
        super().__init__()
        self.model = model
        self.folder = SHIPPED if model is None else Path(model)
        recipe = read_config(self.folder)["model"]
        expected = f"{JointEmbedder.__module__}.{JointEmbedder.__qualname__}"
        if recipe["class_path"] != expected:
            raise ValueError(f"{self.folder}: expected a {expected}, got a {recipe['class_path']}")
        made = JointEmbedder(**{**recipe["init_args"], "channels": 1, "depth": 0, "text_depth": 1})
        self.dim, self.sample_rate, self.window_seconds = made.dim, made.sample_rate, made.seconds
        self.licence = " AND ".join(sorted(read_licences(self.folder))) or "LicenseRef-unknown"
        weights = (self.folder / WEIGHTS).read_bytes()
        self.revision = f"joint {hashlib.sha256(weights).hexdigest()[:16]} over {MiniLM.revision}"
        self.text = MiniLM()

    @torch.no_grad()
    def embed_audio(self, waveform: Tensor) -> Tensor:
        """Embed windows of mono audio, ``[batch, samples]`` → unit vectors ``[batch, dim]``, float32."""
        network, _ = self._network()
        with torch.autocast(self._place.device.type, enabled=False):
            return network.embed_audio(waveform.to(self._place.device, torch.float32))

    @torch.no_grad()
    def embed_text(self, captions: Sequence[str]) -> Tensor:
        """Embed captions → unit vectors ``[batch, dim]``, float32; what is too long is cut, with a warning."""
        network, _ = self._network()
        states, masks = self.text.encode(captions)
        with torch.autocast(self._place.device.type, enabled=False):
            vectors = [
                network.embed_text(state[mask].unsqueeze(0), mask[mask].unsqueeze(0))
                for state, mask in zip(states, masks, strict=True)
            ]
        return torch.cat(vectors) if vectors else torch.empty(0, self.dim, device=states.device)

    def _load(self) -> tuple[JointEmbedder, Any]:
        return load_model(self.folder, JointEmbedder), None
