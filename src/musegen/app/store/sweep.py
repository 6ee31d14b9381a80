"""Removing what nobody needs: old takes, what lay in the bin for long, and files that a killed process left behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from musegen.app.store.library import Library
from musegen.app.store.schema import connect, transaction

DAY = 86400.0


@dataclass(frozen=True)
class Patience:
    """How long things are kept, in seconds.

    Args:
        orphans: files that no clip names; another process may be writing them just now.
        takes: what was made and not kept.
        bin: what was deleted.
        newest: takes that stay in any case.
    """

    orphans: float = 3600.0
    takes: float = 7 * DAY
    bin: float = 30 * DAY
    newest: int = 64


def sweep(library: Library, patience: Patience | None = None, now: float | None = None) -> int:
    """Remove old takes, old deletions, and orphaned files.

    Args:
        library: to be swept; others may be using it.
        patience: how long things are kept.
        now: seconds since 1970.

    Returns:
        The number of files removed.
    """
    patience = patience or Patience()
    now = time.time() if now is None else now
    with transaction(library.database) as database:
        database.execute("DELETE FROM clips WHERE deleted < ?", [now - patience.bin])
        database.execute(
            "DELETE FROM clips WHERE kept IS NULL AND deleted IS NULL AND created < ? AND id NOT IN "
            "(SELECT id FROM clips WHERE kept IS NULL AND deleted IS NULL ORDER BY created DESC LIMIT ?)",
            [now - patience.takes, patience.newest],
        )
    # Files are listed before rows: what is added in between is then in the rows and not in the list.
    old = [path for path in library.clips.iterdir() if _modified(path) < now - patience.orphans]
    with connect(library.database) as database:
        known = {row["id"] for row in database.execute("SELECT id FROM clips")}
    removed = [path for path in old if path.is_file() and path.name.partition(".")[0] not in known]
    for path in removed:
        path.unlink(missing_ok=True)
    return len(removed)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
