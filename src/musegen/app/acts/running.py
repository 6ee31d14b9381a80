"""Long work in a thread of its own, while the page is told how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from musegen.app.work.job import Job

Shown = dict[str, Any]
"""What changes in the page: new values by the names of the components."""

EVERY = 0.2
"""Seconds between two looks at a job."""


class Jobs:
    """The jobs on their way, one for each user."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, user: str) -> Job:
        """A new job of a user.

        Raises:
            ValueError: while the user's last one is on its way.
        """
        with self._lock:
            if user in self._jobs:
                raise ValueError("One thing at a time: wait for what is being made, or cancel it.")
            self._jobs[user] = Job(user)
            return self._jobs[user]

    def end(self, job: Job) -> None:
        """Forget a job."""
        with self._lock:
            if self._jobs.get(job.user) is job:
                del self._jobs[job.user]

    def cancel(self, user: str) -> bool:
        """Cancel a user's job; False where there is none."""
        with self._lock:
            job = self._jobs.get(user)
        if job is not None:
            job.cancel()
        return job is not None


def watch(job: Job, work: Callable[[], Any], every: float = EVERY) -> Iterator[bool]:
    """Do work in a thread; yields from time to time, and once at its end.

    Args:
        job: cancelled when nobody listens any more.
        work: an iterator is run to its end.
        every: seconds.

    Yields:
        Whether the work is done.

    Raises:
        Exception: what the work raises.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            made = work()
            if isinstance(made, Iterator):
                for _ in made:
                    pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(every)
            if thread.is_alive():
                yield False
    finally:
        job.cancel()
        thread.join()
    if failed:
        raise failed[0]
    yield True
