"""Whose turn it is at the model: one at a time, and everyone in turn, however much each of them asks for."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that goes round the users who wait for it, and in a user's own order among that user's requests."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: OrderedDict[str, deque[object]] = OrderedDict()
        self._busy: str | None = None

    def ahead(self, user: str) -> int:
        """How many other users wait or work."""
        with self._changed:
            return len({*self._waiting, self._busy} - {user, None})

    @contextmanager
    def take(self, user: str) -> Iterator[None]:
        """Wait for a turn, have it for the length of a ``with``, and go to the end of the round."""
        ticket = object()
        with self._changed:
            self._waiting.setdefault(user, deque()).append(ticket)
            try:
                self._changed.wait_for(lambda: self._busy is None and self._first() is ticket)
                self._busy = user
            finally:
                self._leave(user, ticket)
        try:
            yield
        finally:
            with self._changed:
                self._busy = None
                self._changed.notify_all()

    def _first(self) -> object | None:
        return next((tickets[0] for tickets in self._waiting.values()), None)

    def _leave(self, user: str, ticket: object) -> None:
        """Take a ticket out, and put what else its user waits for at the end of the round."""
        tickets = self._waiting.pop(user)
        tickets.remove(ticket)
        if tickets:
            self._waiting[user] = tickets
        self._changed.notify_all()
