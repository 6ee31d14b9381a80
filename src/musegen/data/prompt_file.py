"""Files of prompts: one a line, or JSON Lines with a key and a seed for each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musegen.data.sample import KEY


@dataclass(frozen=True)
class Prompt:
    """One prompt of a file.

    Args:
        caption: its text.
        key: its name, unique in the file.
        seed: of its first sample; None where the file names none.
    """

    caption: str
    key: str
    seed: int | None = None


def read_prompts(path: str | Path) -> list[Prompt]:
    """Read a file of prompts.

    A text file has one prompt a line; empty lines and those that begin with # are left out. A file that ends in
    ``.jsonl`` has one JSON object a line: ``{"caption": …}``, and, if it likes, ``"key"`` and ``"seed"``; whatever else
    it says is for other readers. Without a key a prompt is named by its number.

    Raises:
        OSError: if there is no such file.
        ValueError: naming the line, if it is no prompt; if there is none at all, or two have one key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(2, "expected a file of prompts, got none", str(path))
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected a text file in UTF-8") from None
    prompts: dict[str, Prompt] = {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or (line.startswith("#") and path.suffix != ".jsonl"):
            continue
        default = f"{len(prompts):05d}"
        try:
            prompt = _from_json(line, default) if path.suffix == ".jsonl" else Prompt(line, default)
            if prompt.key in prompts:
                raise ValueError(f"expected unique keys, got {prompt.key!r} again")
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        prompts[prompt.key] = prompt
    if not prompts:
        raise ValueError(f"{path}: expected at least one prompt, got none")
    return list(prompts.values())


def _from_json(line: str, default: str) -> Prompt:
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError(f'expected JSON like {{"caption": "…"}}, got {line[:60]!r}') from None
    caption = content.get("caption") if isinstance(content, dict) else None
    if not isinstance(caption, str) or not caption.strip():
        raise ValueError(f'expected JSON like {{"caption": "…"}}, got {line[:60]!r}')
    key, seed = content.get("key", default), content.get("seed")
    if not isinstance(key, str) or not KEY.fullmatch(key):
        raise ValueError(f"expected a key of letters, digits and _+=@-, at most 80, got {key!r}")
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63):
        raise ValueError(f"expected a seed from 0 to 2**63 - 1, got {seed!r}")
    return Prompt(caption.strip(), key, seed)
