"""Music to begin with: init audio through the pipeline, and back from a clip's JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tiny
from musegen.audio import write_audio
from musegen.generation.clip import Clip, read_clip
from musegen.pipeline import TextToMusic

PROMPT = "fast drums"


@pytest.fixture(scope="module")
def pipeline() -> TextToMusic:
    return tiny.pipeline()


@pytest.fixture(scope="module")
def music() -> Tensor:
    """A little less than a clip, so that silence follows it."""
    time = torch.arange(5000) / tiny.RATE
    return torch.stack([(440 * 2 * torch.pi * time).sin(), (660 * 2 * torch.pi * time).sin()]) * 0.5


def encoded(pipeline: TextToMusic, music: Tensor) -> Tensor:
    samples = tiny.FRAMES * 256
    whole = torch.nn.functional.pad(music, (0, samples - music.shape[1]))
    return pipeline.chain.vae.encode(whole[None]).mean[0]


def made(pipeline: TextToMusic, **options: Any) -> Clip:
    return pipeline.generate(PROMPT, 5, **options)[0]


def distance(clip: Clip, latents: Tensor) -> float:
    assert clip.latents is not None
    return float((clip.latents - latents).norm())


def test_the_less_is_made_anew_the_nearer_it_stays(pipeline: TextToMusic, music: Tensor) -> None:
    origin = encoded(pipeline, music)
    distances = [distance(made(pipeline, start=music, strength=strength), origin) for strength in (0.01, 0.3, 0.9)]
    assert distances[0] < distances[1] < distances[2]
    assert distances[0] < 0.1 * distances[2]
    assert distance(made(pipeline), origin) > distances[1]


def test_each_item_starts_from_it_and_differs_by_its_seed(pipeline: TextToMusic, music: Tensor) -> None:
    first, second = pipeline.generate(PROMPT, [5, 6], start=music)
    assert torch.equal(first.audio, made(pipeline, start=music, strength=0.7).audio)
    assert not torch.equal(first.audio, second.audio)


def test_a_file_is_as_good_as_its_samples(pipeline: TextToMusic, music: Tensor, tmp_path: Path) -> None:
    path = write_audio(tmp_path / "music.wav", music, tiny.RATE, bits=32)
    from_file, from_samples = made(pipeline, start=path), made(pipeline, start=music)
    assert torch.equal(from_file.audio, from_samples.audio)
    doubled = torch.cat([music, music], 1)  # longer than a clip: cut
    assert made(pipeline, start=doubled).audio.isfinite().all()


def test_the_json_beside_the_clip_makes_it_again(pipeline: TextToMusic, music: Tensor, tmp_path: Path) -> None:
    clip = made(pipeline, start=music, strength=0.4)
    described = read_clip(clip.save(tmp_path / "clip.wav").with_suffix(".json"))
    again = pipeline.remake(described)
    assert torch.equal(again.audio, clip.audio)
    assert again.fingerprint == clip.fingerprint
    other = made(pipeline, start=music * 0.5, strength=0.4)
    assert other.fingerprint["request"]["start"] != clip.fingerprint["request"]["start"]
    rendered = pipeline.render(clip.embedding[None], 5, start=music, strength=0.4)[0]
    assert torch.equal(rendered.audio, clip.audio)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strength": 0.5}, "strength: expected only with start"),
        ({"start": torch.zeros(2, 100), "strength": 0.0}, "strength: expected a number above 0 and below 1, got 0"),
        ({"start": torch.zeros(2, 100), "strength": 1}, "strength: expected a number above 0 and below 1, got 1"),
        ({"start": torch.zeros(100)}, r"start: expected audio \[channels, samples\]"),
        ({"start": torch.full((2, 9), float("nan"))}, r"start: expected audio \[channels, samples\] of finite"),
        ({"start": __file__}, "expected an audio file"),
    ],
)
def test_what_is_no_start_is_one_line(pipeline: TextToMusic, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        made(pipeline, **options)
    assert "\n" not in str(error.value)
