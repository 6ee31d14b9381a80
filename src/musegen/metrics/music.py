"""The music that is judged: folders of clips with their captions, of shards, or of plain audio files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import soundfile
import torch

from musegen.audio import to_channels, why
from musegen.checkpoints import read_json
from musegen.data.random_access import ShardFolder
from musegen.metrics.hearing.base import Sound
from musegen.metrics.wanted import Wanted, wanted_of

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff")


@dataclass(frozen=True)
class Piece:
    """One clip.

    Args:
        key: its name, for messages.
        caption: what it was made from, or what is said of it; may be empty.
        wanted: what is known of it.
        content: reads its audio file.
        captions: all that is said of it.
        prompted: whether the caption is what it was made from, so that clips of one caption belong together.
    """

    key: str
    caption: str
    wanted: Wanted
    content: Callable[[], bytes]
    captions: tuple[str, ...] = ()
    prompted: bool = False

    @property
    def group(self) -> str:
        """Clips of one group are no independent evidence: samples of one prompt."""
        return self.caption if self.prompted else self.key


def read_music(folder: str | Path, limit: int | None = None) -> list[Piece]:
    """What music lies in a folder.

    Args:
        folder: what ``musegen generate`` wrote (audio, and beside it a JSON with the prompt); or shards of audio with
            facts; or plain audio files, of which nothing is known but how they sound.
        limit: take no more than so many, spread evenly over the folder.

    Raises:
        OSError: if there is no such folder.
        ValueError: if it holds no music.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(2, "expected a folder of music, got none", str(folder))
    found = _shards(folder) if any(folder.glob("index*.json")) else _files(folder)
    if not found:
        raise ValueError(f"{folder}: expected audio files or shards of audio, got none")
    if limit is not None and limit < len(found):
        found = [found[len(found) * number // limit] for number in range(limit)]
    return [make() for make in found]


def _shards(folder: Path) -> list[Callable[[], Piece]]:
    shards = ShardFolder(folder, ["audio"])

    def piece(position: int) -> Piece:
        with shards.open(position) as sample:
            caption = next(iter(sample.captions), "")
            wanted = wanted_of(caption, sample.facts)
            return Piece(sample.key, caption, wanted, lambda: _audio_of(shards, position), tuple(sample.captions))

    return [partial(piece, position) for position in range(len(shards))]


def _audio_of(shards: ShardFolder, position: int) -> bytes:
    with shards.open(position) as sample:
        return sample.audio


def _files(folder: Path) -> list[Callable[[], Piece]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return [partial(_file, path, folder) for path in paths if not path.name.startswith(".")]


def _file(path: Path, folder: Path) -> Piece:
    beside = path.with_suffix(".json")
    said = read_json(beside) if beside.exists() else {}
    prompt = said.get("prompt", "") if isinstance(said, dict) else ""
    if not isinstance(prompt, str):
        raise ValueError(f"{beside}: prompt: expected a text, got {type(prompt).__name__}")
    return Piece(
        str(path.relative_to(folder)),
        prompt,
        wanted_of(prompt),
        path.read_bytes,
        (prompt,) * bool(prompt),
        bool(prompt),
    )


def decode(content: bytes, key: str, seconds: float | None = None) -> Sound:
    """The sound in an audio file: its first seconds, or all of it.

    Raises:
        ValueError: naming the piece, if it is no audio or holds samples that are not finite.
    """
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            frames = -1 if seconds is None else round(seconds * file.samplerate)
            samples, rate = file.read(frames, dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ValueError(f"{key}: expected an audio file: {why(error)}") from None
    audio = to_channels(torch.from_numpy(samples.T.copy()), None if samples.shape[1] <= 2 else 2)
    if not audio.isfinite().all():
        raise ValueError(f"{key}: expected finite samples, got NaN or infinity")
    return Sound(audio, rate)


def length_of(content: bytes, key: str) -> float:
    """Seconds of an audio file.

    Raises:
        ValueError: naming the piece, if it is no audio.
    """
    try:
        return float(soundfile.info(io.BytesIO(content)).duration)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{key}: expected an audio file: {why(error)}") from None
