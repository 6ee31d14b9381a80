"""One sample of a corpus, as members of a tar and back: facts in JSON, arrays in .npy, audio in FLAC."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from musegen.data.arrays import load_npy, save_npy

FIELDS = {"embedding": "embedding.npy", "latents": "latents.npy", "audio": "flac"}
"""What a sample may hold beside its facts and texts, and the suffix of the member that holds it."""

TEXT = re.compile(r"text\.(\d+)\.npy")
"""Suffix of the member that holds the states of one caption, counted in the order of `Sample.captions`."""

PREDICTED = "musegen predict"
"""The ``source`` of what stage 1 predicted."""

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
    - ``seed``: of a predicted sample (whose ``source`` is `PREDICTED`), what it was drawn with.

    Args:
        key: unique in its folder; letters, digits and ``_+=@-``, at most 80.
        facts: JSON-able.
        embedding: ``[windows, dim]`` (or ``[dim]`` for one window), unit vectors, kept as float16 or float32.
        latents: ``[channels, frames]``, the posterior's mean, kept as float16.
        audio: a FLAC file.
        text: a text encoder's states of each of the `captions`, ``[tokens, dim]`` without padding, kept as float16.
    """

    key: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    embedding: np.ndarray | None = None
    latents: np.ndarray | None = None
    audio: bytes | None = None
    text: Sequence[np.ndarray] | None = None

    @property
    def fields(self) -> frozenset[str]:
        """Names of what it holds, ``caption`` among them if it has any."""
        held = {name for name in (*FIELDS, "text") if getattr(self, name) is not None}
        return frozenset(held | {"caption"} if self.facts.get("captions") else held)

    @property
    def captions(self) -> list[str]:
        """The variants of its caption."""
        return captions_of(self.facts)

    @property
    def texts(self) -> int:
        """How many captions' states there are."""
        return len(self.text or ())

    def text_of(self, caption: int) -> np.ndarray:
        """States ``[tokens, dim]`` of a caption, by its place among `captions`.

        Raises:
            ValueError: if there are none.
        """
        if not self.text:
            raise ValueError("expected text states, got none")
        return self.text[caption]


def captions_of(facts: Mapping[str, Any]) -> list[str]:
    """The variants of a caption: ``main`` first, then the others by name; a list as it is."""
    captions = facts.get("captions", [])
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
            members["embedding.npy"] = save_npy(_checked_embedding(sample))
        if sample.latents is not None:
            members["latents.npy"] = save_npy(_checked_latents(sample))
        if sample.text is not None:
            members |= {f"text.{number}.npy": save_npy(states) for number, states in enumerate(_checked_text(sample))}
        if sample.audio is not None:
            if sample.audio[:4] != b"fLaC":
                raise ValueError("expected audio as a FLAC file, got something else")
            members["flac"] = sample.audio
    except (ValueError, TypeError) as error:
        raise ValueError(f"sample {sample.key!r}: {error}") from None
    return members


def from_members(key: str, members: Mapping[str, bytes], fields: Collection[str] | None = None) -> Sample:
    """Decode a sample. Arrays never run code: they load without pickle.

    Args:
        key: of the sample.
        members: bytes by suffix.
        fields: decode only these of `FIELDS`, and ``text``; None for all that are there.

    Raises:
        ValueError: naming the key and the member, if it cannot be decoded or is not there.
    """
    suffixes = {"facts": "json"} | {
        name: suffix for name, suffix in FIELDS.items() if (suffix in members if fields is None else name in fields)
    }
    decoded = {name: decode(key, suffix, members.get(suffix), members) for name, suffix in suffixes.items()}
    count = count_texts(members)
    if count and (fields is None or "text" in fields):
        names = [f"text.{number}.npy" for number in range(count)]
        decoded["text"] = [decode(key, name, members.get(name), members) for name in names]
    elif fields is not None and "text" in fields:
        decode(key, "text.0.npy", None, members)
    return Sample(key, **decoded)


def count_texts(suffixes: Iterable[str]) -> int:
    """How many captions' states are among a sample's members."""
    return sum(1 for suffix in suffixes if TEXT.fullmatch(suffix))


def decode(key: str, suffix: str, content: bytes | None, there: Iterable[str] = ()) -> Any:
    """Decode one member of a sample.

    Args:
        key: of the sample.
        suffix: of the member.
        content: of the member; None if there is no such member.
        there: which members there are, to be named then.

    Raises:
        ValueError: naming the key and the member, if it cannot be decoded or is not there.
    """
    if content is None:
        raise ValueError(f"sample {key!r}: expected {key}.{suffix}, got only {', '.join(sorted(there))}")
    try:
        if suffix.endswith(".npy"):
            return load_npy(content)
        return _load_facts(content) if suffix == "json" else content
    except (ValueError, EOFError) as error:
        raise ValueError(f"sample {key!r}: {key}.{suffix} cannot be decoded: {error}") from None


def _load_facts(content: bytes) -> dict[str, Any]:
    facts = json.loads(content)
    if not isinstance(facts, dict):
        raise ValueError(f"expected a JSON object, got {type(facts).__name__}")
    return facts


def _json(facts: Mapping[str, Any]) -> bytes:
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()


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


def _checked_text(sample: Sample) -> list[np.ndarray]:
    text = [np.asarray(states) for states in sample.text or ()]
    if not text or len(text) != len(sample.captions):
        raise ValueError(f"expected text states of each of {len(sample.captions)} captions, got {len(text)}")
    with np.errstate(over="ignore"):
        halves = [states.astype(np.float16) for states in text]
    for states in halves:
        if states.ndim != 2 or not len(states):
            raise ValueError(f"expected text states [tokens, dim], got {list(states.shape)}")
        if not np.isfinite(states).all():
            raise ValueError("expected text states that are finite in float16, got NaN, infinity or more than 65504")
    return halves
