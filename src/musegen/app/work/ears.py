"""What the app hears in audio: an embedding to compare by, and estimates of tempo and key."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from musegen.audio import resample
from musegen.conditioning.base import Embedder
from musegen.conditioning.spectral import BANDS, LAGGED, PITCHES, TEMPI, SpectralEmbedder
from musegen.data.encoder import cut_windows
from musegen.plugins import choose

ROOM = "musegen.conditioning"
NOTES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")
KEYS = (*(f"{note} major" for note in NOTES), *(f"{note} minor" for note in NOTES))
SILENT = 1e-4


@dataclass(frozen=True)
class Estimate:
    """What a simple listener makes of music: often right, never certain.

    Args:
        tempo: beats per minute; None for what has no beat.
        key: such as ``D minor``; empty for silence.
    """

    tempo: float | None
    key: str


class Ears:
    """An embedder as the app uses it.

    Args:
        embedder: of audio and, where it can, of text.
        fits: whether it is the one whose space the model generates from, so that audio can take a prompt's place.
        device: where it computes.
    """

    def __init__(self, embedder: Embedder, fits: bool, device: torch.device) -> None:
        self.embedder, self.fits, self.device = embedder.to(device).eval(), fits, device
        self._analyst = SpectralEmbedder()
        self._lock = threading.Lock()

    @staticmethod
    def choose(
        choice: str | None, declared: str | Mapping[str, Any] | None, device: torch.device, trust: Sequence[str] = ()
    ) -> Ears:
        """The embedder that a user chose, or that a pipeline declares, or a spectral one for comparing alone.

        Args:
            choice: a short name, class path or recipe, said to be the one that the model was trained on.
            declared: ``embedder`` in ``pipeline.json``.
            device: where it computes.
            trust: packages besides musegen whose classes may be built.

        Raises:
            ValueError: for an unknown one.
        """
        told = choice or declared
        return Ears(choose(told or "spectral", Embedder, ROOM, trust), told is not None, device)

    @property
    def space(self) -> str:
        """Which space its vectors lie in."""
        return self.embedder.revision

    @property
    def reads_text(self) -> bool:
        """Whether text has a place in that space."""
        return type(self.embedder).embed_text is not Embedder.embed_text

    @torch.inference_mode()
    def listen(self, audio: Tensor, rate: int) -> Tensor:
        """The embedding of audio ``[channels, samples]``: the direction of its windows' mean, ``[dim]``, on the CPU."""
        mono = resample(audio.float().mean(0), rate, self.embedder.sample_rate)
        windows, _ = cut_windows(mono, self.embedder)
        with self._lock:
            each = torch.cat([self.embedder.embed_audio(some.to(self.device)) for some in windows.split(8)])
        return normalize(each.float().cpu().mean(0), dim=0)

    @torch.inference_mode()
    def read(self, text: str) -> Tensor:
        """The embedding of a text, ``[dim]``, on the CPU.

        Raises:
            ValueError: if the embedder knows no text.
        """
        with self._lock:
            return self.embedder.embed_text([text])[0].float().cpu()

    @torch.inference_mode()
    def estimate(self, audio: Tensor, rate: int) -> Estimate:
        """Tempo and key of audio ``[channels, samples]``, from its first minute."""
        mono = resample(audio[:, : 60 * rate].float().mean(0), rate, self._analyst.sample_rate)
        if mono.abs().max() < SILENT:
            return Estimate(None, "")
        windows, _ = cut_windows(mono, self._analyst)
        mean = self._analyst.embed_audio(windows).mean(0)
        _, harmony, rhythm = mean.split([3 * BANDS, 3 * PITCHES + len(KEYS), TEMPI + 2 * LAGGED])
        beats = rhythm[:TEMPI]
        tempo = 40.0 * 2 ** (int(beats.argmax()) / TEMPI * 2.584962500721156)
        return Estimate(tempo if beats.max() > 0 else None, KEYS[int(harmony[3 * PITCHES :].argmax())])
