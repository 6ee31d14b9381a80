"""File names of clips: readable, safe on every file system, and never another clip's."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SLUG = 60
"""Characters of a prompt that a name keeps."""


def slug(prompt: str) -> str:
    """A prompt as part of a file name: lower-case ASCII letters, digits and hyphens, cut at a word.

    Accents are dropped; a prompt with nothing that ASCII can spell is called ``prompt``.
    """
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if len(words) > SLUG:
        words = words[: SLUG + 1].rpartition("-")[0] or words[:SLUG]
    return words or "prompt"


class ClipNames:
    """Hands out the names of clips in a folder: ``<slug>_seed<seed>``, with ``_2``, ``_3`` … where that is taken.

    A name is taken by an audio file that is there already, unless the JSON beside it asks for the very same clip: that
    one is made again in its place.

    Args:
        folder: where clips are written.
        format: suffix of the audio files.
        replace: whether a clip that was asked for before gives up its name.
    """

    def __init__(self, folder: Path, format: str, replace: bool = True) -> None:
        self.folder, self.format, self.replace = folder, format, replace
        self._given: set[Path] = set()

    def name(self, request: Mapping[str, Any]) -> Path:
        """The path of a clip's audio file.

        Args:
            request: ``prompt``, ``seed`` and whatever else of a clip's JSON tells one request from another.
        """
        stem = f"{slug(request['prompt'])}_seed{request['seed']}"
        number = 1
        while not self._free(path := self._path(stem, number), request):
            number += 1
        self._given.add(path)
        return path

    def _path(self, stem: str, number: int) -> Path:
        return self.folder / f"{stem}{f'_{number}' if number > 1 else ''}.{self.format}"

    def _free(self, path: Path, request: Mapping[str, Any]) -> bool:
        if path in self._given:
            return False
        described = path.with_suffix(".json")
        if not path.exists() and not described.exists():
            return True
        try:
            there = json.loads(described.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        same = isinstance(there, dict) and all(there.get(name) == value for name, value in request.items())
        return self.replace and same and there.get("file") == path.name
