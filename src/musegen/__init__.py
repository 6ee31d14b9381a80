"""musegen: two-stage text-to-music, trained with Lightning and sampled by flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musegen.pipeline import TextToMusic

__version__ = "0.1.0"
__all__ = ["TextToMusic", "__version__"]


def __getattr__(name: str) -> object:
    if name == "TextToMusic":
        from musegen.pipeline import TextToMusic

        return TextToMusic
    raise AttributeError(f"module 'musegen' has no attribute {name!r}")
