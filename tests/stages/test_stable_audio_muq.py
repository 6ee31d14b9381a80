"""What stage 2 is told of the length of the music that it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from flow_runs import CHANNELS, DIM, FRAMES, build
from musegen.models.oobleck import OobleckAutoencoder
from musegen.stages.stable_audio_muq import StableAudioMuQ

SECONDS = 16 / 44100  # of a frame


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> StableAudioMuQ:
    made = build(steps=2).eval()
    codec = OobleckAutoencoder(channels=4, multiples=[1, 2], strides=[4, 4], latent_channels=CHANNELS)
    monkeypatch.setattr(StableAudioMuQ, "codec", codec)
    return made


@pytest.fixture
def told(stage: StableAudioMuQ, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """The batches that are sampled for."""
    seen: list[Mapping[str, Any]] = []
    sample = stage.sample

    def watched(batch: Mapping[str, Any], *arguments: Any, **options: Any) -> torch.Tensor:
        seen.append(batch)
        return sample(batch, *arguments, **options)

    monkeypatch.setattr(stage, "sample", watched)
    return seen


@pytest.mark.parametrize(
    ("options", "frames"),
    [
        ({}, FRAMES),
        ({"shape": (CHANNELS, 24)}, 24),
        ({"x0": torch.randn(2, CHANNELS, 8)}, 8),
        ({"shape": (CHANNELS, 8), "x0": torch.randn(2, CHANNELS, 8)}, 8),
    ],
)
def test_the_music_is_as_long_as_was_asked_for(
    stage: StableAudioMuQ, told: list[Mapping[str, Any]], options: dict[str, Any], frames: int
) -> None:
    latents = stage.generate(torch.eye(DIM)[:2], [1, 2], **options)
    assert latents.shape == (2, CHANNELS, frames)
    assert told[0]["seconds_total"].tolist() == pytest.approx([frames * SECONDS] * 2)


def test_what_is_said_of_the_length_holds(stage: StableAudioMuQ, told: list[Mapping[str, Any]]) -> None:
    stage.generate(torch.eye(DIM)[:2], [1, 2], seconds_start=1.5, seconds_total=60.0, shape=(CHANNELS, 8))
    assert told[0]["seconds_start"].tolist() == [1.5, 1.5]
    assert told[0]["seconds_total"].tolist() == [60.0, 60.0]
    with pytest.raises(ValueError, match="x0: expected shape"):
        stage.generate(torch.eye(DIM)[:2], x0=torch.randn(2, CHANNELS + 1, 8))
