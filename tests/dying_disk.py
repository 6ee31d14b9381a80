"""A disk on which a process dies, or an error comes, at the n-th thing that it does there."""

from __future__ import annotations

import builtins
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

Kind = Literal["kill", "power", "error"]


class KilledError(BaseException):
    """What a simulated death raises; nothing in the code under test catches it for good."""


class DyingDisk:
    """Counts every write, fsync, rename, removal and new folder within a folder; one of them goes wrong.

    Args:
        folder: that is watched.
        last: number of the action that goes wrong, counted from 0; None for none.
        kind: "kill": half of a write is done, and nothing after it, as with kill -9; "power": that, and what was
            written but not synced is lost; "error": the disk is full for this one action.
    """

    def __init__(self, folder: Path, last: int | None = None, kind: Kind = "kill") -> None:
        self.folder, self.last, self.kind = folder, last, kind
        self.actions: list[str] = []
        self.dead = False
        self._unsynced: set[int] = set()  # inodes

    def act(self, name: str, do: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Do something, unless it is what goes wrong, or comes after it."""
        if self.dead:
            raise KilledError
        self.actions.append(name)
        if len(self.actions) - 1 != self.last:
            return do()
        if half is not None:
            half()
        if self.kind == "error":
            raise OSError(28, "No space left on device")
        self.dead = True
        if self.kind == "power":
            for path in self.folder.rglob("*"):
                if path.is_file() and path.stat().st_ino in self._unsynced:
                    os.truncate(path, 0)
        raise KilledError

    def written(self, inode: int, synced: bool) -> None:
        """Remember whether a file's content would survive a power cut."""
        (self._unsynced.discard if synced else self._unsynced.add)(inode)

    @contextmanager
    def watched(self) -> Iterator[DyingDisk]:
        """Watch what this process does."""
        real = {name: getattr(os, name) for name in ("fsync", "replace", "unlink", "mkdir", "rmdir")}

        def inside(path: Any) -> bool:
            return isinstance(path, str | os.PathLike) and Path(path).is_relative_to(self.folder)

        def opened(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if "w" not in mode or not inside(path):
                return real_open(path, mode, *rest, **named)
            return _File(self, self.act(f"open {_plain(path)}", lambda: real_open(path, mode, buffering=0)))

        def fsync(descriptor: int) -> None:
            # not for real: it takes long, and a process that dies loses nothing of what the system has
            inode = os.fstat(descriptor).st_ino
            self.act("fsync", lambda: self.written(inode, synced=True))

        def on_path(name: str) -> Callable[..., Any]:
            def changed(path: Any, *rest: Any, **named: Any) -> Any:
                if not inside(path):
                    return real[name](path, *rest, **named)
                return self.act(f"{name} {_plain(path)}", lambda: real[name](path, *rest, **named))

            return changed

        real_open = builtins.open
        with (
            mock.patch.object(builtins, "open", opened),
            mock.patch.object(os, "fsync", fsync),
            mock.patch.object(os, "replace", on_path("replace")),
            mock.patch.object(os, "unlink", on_path("unlink")),
            mock.patch.object(os, "mkdir", on_path("mkdir")),
            mock.patch.object(os, "rmdir", on_path("rmdir")),
        ):
            yield self


class _File:
    """A file that is written to a disk that dies."""

    def __init__(self, disk: DyingDisk, file: Any) -> None:
        self.disk, self.file = disk, file

    def write(self, content: bytes) -> int:
        self.disk.written(os.fstat(self.file.fileno()).st_ino, synced=False)
        half = bytes(content)[: len(content) // 2]
        return self.disk.act("write", lambda: self.file.write(content), lambda: self.file.write(half))

    def flush(self) -> None:
        self.file.flush()

    def fileno(self) -> int:
        return self.file.fileno()

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _plain(path: Any) -> str:
    return Path(path).name.replace(f".{os.getpid()}.", ".")
