"""One user's request on its way: how far it is, and whether anyone still waits for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

DOING = {"embeddings": "imagining", "latents": "playing"}
"""What the pipeline makes, as a musician would say it."""


class CancelledError(Exception):
    """A user does not wait for it any more."""


@dataclass
class Job:
    """One user's request on its way.

    Args:
        user: whose it is.
        total: clips.
        done: of them.
        doing: what just now, in words.
        share: of all the work, 0 to 1.
    """

    user: str = ""
    total: int = 1
    done: int = 0
    doing: str = "waiting for a turn"
    share: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop it at the next step."""
        self._stop.set()

    def told(self, name: str, done: int, total: int) -> None:
        """Progress within the clips in hand, as the pipeline tells it.

        Raises:
            CancelledError: if it was.
        """
        self._tell(name, (self.done + done / max(1, total)) / max(1, self.total))

    def told_all(self, name: str, done: int, total: int) -> None:
        """Progress of all clips, as the pipeline tells it where it makes them all.

        Raises:
            CancelledError: if it was.
        """
        self._tell(name, done / max(1, total))

    def _tell(self, name: str, share: float) -> None:
        self.check()
        self.doing = DOING.get(name, name)
        if name == "latents":
            self.share = share

    def check(self) -> None:
        """Raise CancelledError if it was."""
        if self._stop.is_set():
            raise CancelledError
