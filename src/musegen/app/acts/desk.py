"""What the functions behind the pages share: the workshop, the jobs, and how a mistake is told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from musegen.app.acts.running import Jobs, Shown, watch
from musegen.app.store.record import Record
from musegen.app.view.cards import notice, progress
from musegen.app.work.job import CancelledError, Job
from musegen.app.work.workshop import Workshop
from musegen.mistakes import explain, is_mistake

LOG = logging.getLogger("musegen.app")


class Desk:
    """Where the pages' functions work.

    Args:
        workshop: the model and the library.
    """

    def __init__(self, workshop: Workshop) -> None:
        self.workshop, self.jobs = workshop, Jobs()

    def cancel(self, user: str) -> Shown:
        """Stop what a user waits for."""
        found = self.jobs.cancel(user)
        return {"notice": notice("Cancelling …" if found else "There is nothing to cancel.")}

    def peaks(self, id: str) -> bytes:
        """A clip's waveform."""
        return self.workshop.library.picture(id, "peaks")

    def choices(self) -> list[tuple[str, str]]:
        """Clips to choose from by name, the newest first: ``(name, id)``."""
        from musegen.app.store.search import Query

        records = self.workshop.library.find(Query(shelf="all", limit=100))
        return [(self.label(record), record.id) for record in records]

    def label(self, record: Record) -> str:
        """A clip's name where names are chosen from: two of one name differ by their seeds."""
        return record.title if record.seed is None else f"{record.title} · seed {record.seed}"

    def carry_out(
        self,
        user: str,
        work: Callable[[Job], Iterator[Record]],
        show: Callable[[list[Record], bool], Shown],
        said: str = "",
    ) -> Iterator[Shown]:
        """Make clips, and show each as it is finished, with a bar that says how far the rest is.

        Args:
            user: whose job it is.
            work: makes the clips.
            show: gives what changes in the page, of what is made so far and whether that is all.
            said: at the end.
        """
        job = self.jobs.start(user)
        made: list[Record] = []

        def run() -> Iterator[Record]:
            for record in work(job):
                made.append(record)
                yield record

        shown = 0
        try:
            yield {"progress": self._bar(job), "notice": ""}
            for done in watch(job, run):
                changed = show(list(made), done) if done or len(made) > shown else {}
                shown = len(made)
                yield {"progress": "" if done else self._bar(job), **changed}
            if said:
                yield {"notice": notice(said, "good")}
        except CancelledError:
            kept = f" {len(made)} of {job.total} were finished." if made else ""
            yield {"progress": "", "notice": notice(f"Cancelled.{kept}"), **show(list(made), True)}
        finally:
            self.jobs.end(job)

    def _bar(self, job: Job) -> str:
        ahead = self.workshop.turns.ahead(job.user) if job.doing == "waiting for a turn" else 0
        doing = f"waiting, {ahead} before you" if ahead else job.doing
        return progress(job.done, job.total, job.share, doing)


def told(act: Callable[..., Any]) -> Callable[..., Iterator[Shown]]:
    """An act whose mistakes are a sentence in the page: what is raised is told, and the page stays as it was."""

    def telling(*arguments: Any) -> Iterator[Shown]:
        try:
            done = act(*arguments)
            if isinstance(done, dict):
                yield done
            else:
                yield from done
        except Exception as error:
            if not is_mistake(error):
                LOG.exception("an act failed")
            words = explain(error) if is_mistake(error) else "That failed inside musegen; the server’s log says where."  # noqa: RUF001
            yield {"progress": "", "notice": notice(_sentence(words), "wrong")}

    return telling


def _sentence(words: str) -> str:
    words = words.strip() or "That did not work"
    words = words[0].upper() + words[1:]
    return words if words[-1] in ".!?…" else f"{words}."
