"""Models in transformers' format that a user already has: nothing is downloaded while judging."""

from __future__ import annotations

from typing import Any


def load_local(kind: Any, model: str, **options: Any) -> Any:
    """Load a model, a processor or a tokenizer from a folder, or from what was downloaded before.

    Raises:
        ValueError: in one line, if there is none.
    """
    try:
        return kind.from_pretrained(model, local_files_only=True, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(
            f"model: expected a folder of {kind.__name__} or one downloaded before, got {model!r}: {reason}"
        ) from None
