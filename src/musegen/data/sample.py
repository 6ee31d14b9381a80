"""One sample of a corpus, as members of a tar and back: facts in JSON, arrays in .npy, audio in FLAC."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FIELDS = {"embedding": "embedding.npy", "latents": "latents.npy", "audio": "flac"}
"""What a sample may hold beside its facts, and the suffix of the member that holds it."""

KEY = re.compile(r"(?!__)[A-Za-z0-9_+=@-]{1,80}")


@dataclass(frozen=True)
class Sample:
    """A piece of music, or what was computed from it.

    Facts that musegen reads (any others travel along):

    - ``captions``: a list of texts, or a dict from a variant's name to its text (``main`` comes first, then the others
      by name); may be empty.
    - ``licence``: SPDX name of the licence of the music; ``source``: the corpus.
    - ``seconds``: length of the whole piece; needed with latents.
    - ``windows``: ``[[start, end], …]`` in seconds, one for each row of the embedding; needed for more than one row.
    - ``latent_rate``: latents per second, 44100 / 2048 for Stable Audio's codec; needed with latents.
    - ``seed``: of a predicted sample, what it was drawn with.

    Args:
        key: unique in its folder; letters, digits and ``_+=@-``, at most 80.
        facts: JSON-able.
        embedding: ``[windows, dim]`` (or ``[dim]`` for one window), unit vectors, kept as float16 or float32.
        latents: ``[channels, frames]``, the posterior's mean, kept as float16.
        audio: a FLAC file.
    """

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    embedding: np.ndarray | None = None
    latents: np.ndarray | None = None
    audio: bytes | None = None

    @property
    def fields(self) -> frozenset[str]:
        """Names of what it holds, ``caption`` among them if it has any."""
        held = {name for name in FIELDS if getattr(self, name) is not None}
        return frozenset(held | {"caption"} if self.facts.get("captions") else held)

    @property
    def captions(self) -> list[str]:
        """The variants of its caption."""
        captions = self.facts.get("captions", [])
        if isinstance(captions, Mapping):
            return [captions[name] for name in sorted(captions, key=lambda name: (name != "main", name))]
        return list(captions)


def to_members(sample: Sample) -> dict[str, bytes]:
    """Encode a sample: the bytes of each member, by suffix. The same sample gives the same bytes everywhere.

    Raises:
        ValueError: for a sample that a reader could not use, naming its key.
    """
    if not KEY.fullmatch(sample.key):
        raise ValueError(f"sample {sample.key!r}: expected a key of letters, digits and _+=@-, at most 80")
    try:
        _check_facts(sample)
        members = {"json": _json(sample.facts)}
        if sample.embedding is not None:
            members["embedding.npy"] = _npy(_checked_embedding(sample))
        if sample.latents is not None:
            members["latents.npy"] = _npy(_checked_latents(sample))
        if sample.audio is not None:
            if sample.audio[:4] != b"fLaC":
                raise ValueError("expected audio as a FLAC file, got something else")
            members["flac"] = sample.audio
    except (ValueError, TypeError) as error:
        raise ValueError(f"sample {sample.key!r}: {error}") from None
    return members


def from_members(key: str, members: Mapping[str, bytes], fields: frozenset[str] | set[str] | None = None) -> Sample:
    """Decode a sample. Arrays never run code: they load without pickle.

    Args:
        key: of the sample.
        members: bytes by suffix.
        fields: decode only these of `FIELDS`; None for all that are there.

    Raises:
        ValueError: naming the key and the member, if it cannot be decoded or is not there.
    """
    wanted = [name for name in FIELDS if (FIELDS[name] in members if fields is None else name in fields)]
    decoded: dict[str, Any] = {}
    for name, suffix in [("facts", "json"), *((name, FIELDS[name]) for name in wanted)]:
        if suffix not in members:
            raise ValueError(f"sample {key!r}: expected {key}.{suffix}, got only {', '.join(sorted(members))}")
        try:
            decoded[name] = _DECODERS[suffix](members[suffix])
        except (ValueError, EOFError, UnicodeDecodeError) as error:
            raise ValueError(f"sample {key!r}: {key}.{suffix} cannot be decoded: {error}") from None
    return Sample(key, **decoded)


def _load_npy(content: bytes) -> np.ndarray:
    return np.load(io.BytesIO(content), allow_pickle=False)


def _load_facts(content: bytes) -> dict[str, Any]:
    facts = json.loads(content)
    if not isinstance(facts, dict):
        raise ValueError(f"expected a JSON object, got {type(facts).__name__}")
    return facts


_DECODERS: dict[str, Any] = {
    "json": _load_facts,
    "embedding.npy": _load_npy,
    "latents.npy": _load_npy,
    "flac": bytes,
}


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _check_facts(sample: Sample) -> None:
    if not all(isinstance(caption, str) and caption.strip() for caption in sample.captions):
        raise ValueError(f"expected captions that are texts, got {sample.facts.get('captions')!r}")
    for name in ("seconds", "latent_rate"):
        number = sample.facts.get(name)
        if number is None:
            if sample.latents is not None:
                raise ValueError(f"expected {name!r} among the facts of latents, got none")
        elif isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            raise ValueError(f"expected {name} above 0, got {number!r}")


def _checked_embedding(sample: Sample) -> np.ndarray:
    embedding = np.asarray(sample.embedding)
    embedding = embedding[None] if embedding.ndim == 1 else embedding
    if embedding.ndim != 2 or not len(embedding):
        raise ValueError(f"expected an embedding [windows, dim], got {list(embedding.shape)}")
    norms = np.linalg.norm(embedding.astype(np.float64), axis=1)
    if not np.all(np.abs(norms - 1) < 0.01):
        raise ValueError(f"expected an embedding of unit vectors, got lengths {norms.min():.4g} to {norms.max():.4g}")
    windows = sample.facts.get("windows")
    if windows is None and len(embedding) > 1:
        raise ValueError(f"expected 'windows', the times of {len(embedding)} embedding rows, among the facts, got none")
    if windows is not None:
        times = np.asarray(windows, dtype=np.float64)
        if times.shape != (len(embedding), 2) or not np.all(times[:, 0] < times[:, 1]):
            raise ValueError(f"expected windows as {len(embedding)} pairs [start, end], got {windows!r}")
    return embedding if embedding.dtype == np.float16 else embedding.astype(np.float32)


def _checked_latents(sample: Sample) -> np.ndarray:
    latents = np.asarray(sample.latents)
    if latents.ndim != 2 or not latents.shape[1]:
        raise ValueError(f"expected latents [channels, frames], got {list(latents.shape)}")
    with np.errstate(over="ignore"):
        half = latents.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError("expected latents that are finite in float16, got NaN, infinity or more than 65504")
    return half
