"""A generated piece of music, and its two files: the sound, and a JSON with all it takes to make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from musegen.audio import FORMATS, encode_audio, peak_gain
from musegen.checkpoints import read_json
from musegen.files import check_is_file, write_whole
from musegen.fingerprint import hash_bytes, hash_tensor
from musegen.generation.packing import pack

VERSION = 1
_ONLY_READ = ("mp3", "m4a", "aac", "opus", "aif", "aiff")  # kinds of audio that are not written
FIELDS = {
    "prompt": str,
    "seed": int,
    "model": str,
    "settings": dict,
    "embedding": str,
    "audio_sha256": str,
    "fingerprint": dict,
}
"""What the JSON beside a clip has, for the clip to be made again."""


@dataclass(frozen=True, eq=False)
class Clip:
    """One generated piece of music.

    Args:
        audio: ``[2, samples]``, float32; it may peak above 1, files are turned down to full scale.
        sample_rate: in Hz.
        prompt: what was asked for.
        seed: of all of its randomness.
        embedding: the unit vector between the two stages, ``[dim]``.
        model: name or folder of the pipeline that made it.
        settings: what was chosen: ``seconds``, ``negative``, and each stage's sampler, steps and guidance.
        fingerprint: what its bits depend on; see ``musegen.fingerprint``.
        licences: of the data and weights behind it.
        latents: what was decoded, ``[channels, frames]``.
    """

    audio: Tensor = field(repr=False)
    sample_rate: int
    prompt: str
    seed: int
    embedding: Tensor = field(repr=False)
    model: str
    settings: Mapping[str, Any] = field(repr=False)
    fingerprint: Mapping[str, Any] = field(repr=False)
    licences: list[str] = field(default_factory=list, repr=False)
    latents: Tensor | None = field(default=None, repr=False)

    @property
    def seconds(self) -> float:
        """Length of the audio."""
        return self.audio.shape[-1] / self.sample_rate

    def request(self) -> dict[str, Any]:
        """What was asked for: the part of `describe` that tells one clip from another."""
        return {"prompt": self.prompt, "seed": self.seed, "model": self.model, "settings": dict(self.settings)}

    def save(self, path: str | Path, format: str | None = None, bits: int = 16) -> Path:
        """Write the audio, and beside it ``<name>.json``; both or neither.

        Args:
            path: of the audio file. A suffix that names no kind of audio is kept as part of the name.
            format: ``wav``, ``flac`` or ``ogg``; by default the path's suffix, or WAV without one.
            bits: see `musegen.audio.encode_audio`.

        Returns:
            The path of the audio file.

        Raises:
            ValueError: for another format, by its name or by the path's suffix.
            OSError: if a file cannot be written.
        """
        path = Path(path)
        suffix = path.suffix.lower().lstrip(".")
        format = (format or (suffix if suffix in (*FORMATS, *_ONLY_READ) else "wav")).lower()
        if suffix != format:
            path = path.with_name(f"{path.name}.{format}")
        content = encode_audio(self.audio, self.sample_rate, format, bits)
        described = self.describe() | {
            "file": path.name,
            "file_sha256": hash_bytes(content),
            "gain": 1.0 if format == "wav" and bits == 32 else peak_gain(self.audio),
        }
        text = json.dumps(described, indent=2, ensure_ascii=False)
        write_whole({path: content, path.with_suffix(".json"): f"{text}\n".encode()})
        return path

    def describe(self) -> dict[str, Any]:
        """What the JSON beside a clip says, apart from the file: JSON-able."""
        return {
            "format": "musegen-clip",
            "version": VERSION,
            **self.request(),
            "sample_rate": self.sample_rate,
            "samples": self.audio.shape[-1],
            "audio_sha256": hash_tensor(self.audio),
            "embedding": pack(self.embedding),
            "licences": list(self.licences),
            "fingerprint": dict(self.fingerprint),
        }


def read_clip(path: str | Path) -> dict[str, Any]:
    """Read the JSON beside a clip.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is not the JSON of a clip.
    """
    path = Path(path)
    check_is_file(path, "the JSON beside a clip")
    described = read_json(path)
    known = described.get("format") if isinstance(described, dict) else None
    if known != "musegen-clip" or described.get("version") != VERSION:
        raise ValueError(f"{path}: expected the JSON beside a clip, format musegen-clip {VERSION}, got {known!r}")
    for name, kind in FIELDS.items():
        if not isinstance(described.get(name), kind):
            raise ValueError(f"{path}: {name}: expected {kind.__name__}, got {type(described.get(name)).__name__}")
    return described
