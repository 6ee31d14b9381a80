"""Clips are written in order by a thread, all of them, whatever ends the making of more."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from musegen.audio import read_audio
from musegen.fingerprint import hash_tensor
from musegen.generation.clip import Clip, read_clip
from musegen.generation.writing import AHEAD, ClipWriter


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    noise = torch.randn(12, 2, 4000, generator=torch.Generator().manual_seed(1)).mul(0.1)
    return [Clip(audio, 8000, "noise", seed, torch.ones(4), "", {}, {}) for seed, audio in enumerate(noise)]


def slow_save(monkeypatch: pytest.MonkeyPatch, before: Callable[[Clip], object]) -> None:
    whole = Clip.save

    def save(self: Clip, path: str | Path, format: str | None = None, bits: int = 16) -> Path:
        before(self)
        return whole(self, path, format, bits)

    monkeypatch.setattr(Clip, "save", save)


def test_all_are_written_in_order(clips: list[Clip], tmp_path: Path) -> None:
    told: list[Path] = []
    with ClipWriter("wav", 32, told.append) as writer:
        for clip in clips:
            writer.save(clip, tmp_path / f"{clip.seed}.wav")
    assert writer.paths == told == [tmp_path / f"{clip.seed}.wav" for clip in clips]
    for clip, path in zip(clips, told, strict=True):
        assert torch.equal(read_audio(path)[0], clip.audio)
        assert read_clip(path.with_suffix(".json"))["audio_sha256"] == hash_tensor(clip.audio)


def test_what_was_handed_in_is_kept_when_making_more_ends(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted = threading.Event()
    slow_save(monkeypatch, lambda clip: interrupted.wait(5))

    def make(writer: ClipWriter) -> None:
        for clip in clips[:3]:
            writer.save(clip, tmp_path / f"{clip.seed}.wav")
        assert writer.paths == []
        interrupted.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ClipWriter() as writer:
        make(writer)
    assert [path.name for path in writer.paths] == ["0.wav", "1.wav", "2.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{seed}.{end}" for seed in range(3) for end in ("json", "wav")
    )


def test_no_more_than_a_few_wait(clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_in, most = [0], [0]

    def count(clip: Clip) -> None:
        most[0] = max(most[0], handed_in[0] - clip.seed)
        threading.Event().wait(0.01)

    slow_save(monkeypatch, count)
    with ClipWriter() as writer:
        for clip in clips:
            handed_in[0] += 1
            writer.save(clip, tmp_path / f"{clip.seed}.wav")
    assert 1 < most[0] <= AHEAD + 1


def test_what_cannot_be_written_is_raised_soon(
    clips: list[Clip], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(clip: Clip) -> None:
        if clip.seed == 1:
            raise OSError("the disk is full")

    slow_save(monkeypatch, fail)
    handed_in = []

    def make(writer: ClipWriter) -> None:
        for clip in clips:
            writer.save(clip, tmp_path / f"{clip.seed}.wav")
            handed_in.append(clip)

    with pytest.raises(OSError, match="the disk is full"), ClipWriter() as writer:
        make(writer)
    assert len(handed_in) <= 1 + AHEAD + 1
    with pytest.raises(OSError, match="the disk is full"), ClipWriter() as last:
        last.save(clips[1], tmp_path / "last.wav")
    assert not (tmp_path / "1.wav").exists()
    assert not (tmp_path / "last.wav").exists()
