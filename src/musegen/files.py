"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path


def temporary_name(path: Path) -> Path:
    """A hidden name beside a path that no other thread, process or host takes, for what is not whole yet."""
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: under temporary names first, renamed only when all of them are on the disk.

    Args:
        contents: what each file is to hold. Folders that are missing are made; files that exist are replaced.

    Raises:
        OSError: naming the file, on a full disk or an unwritable folder. What was there before is still there then.
    """
    parts = {path: temporary_name(path) for path in contents}
    try:
        for path, content in contents.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(parts[path], "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error
        for path in contents:
            os.replace(parts[path], path)
        for folder in {path.parent for path in contents}:
            sync_folder(folder)
    finally:
        for name in parts.values():
            with suppress(OSError):
                name.unlink()


def sync_folder(folder: Path) -> None:
    """Bring to the disk what was renamed or removed in a folder, where the system can do so."""
    with suppress(OSError):
        _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_is_file(path: str | Path, what: str) -> None:
    """Refuse a path where no file is.

    Args:
        path: to look at.
        what: is expected there, in words.

    Raises:
        OSError: naming the path, if there is nothing, or a folder.
    """
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, f"expected {what}, got a folder", str(path))
    if not Path(path).exists():
        raise FileNotFoundError(errno.ENOENT, f"expected {what}, got none", str(path))


def prepare_folder(folder: Path) -> None:
    """Make a folder and try to write into it, before hours of work are put into what could not be kept.

    Raises:
        OSError: naming the folder, if it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"music")
    except OSError as error:
        raise OSError(error.errno, f"cannot write: {error.strerror}", str(folder)) from None


class FolderLock:
    """Keeps other processes from writing into a folder until it is closed.

    Args:
        folder: that is there.
        shared: let those in who ask for a shared lock too, and write files of other names.

    Attributes:
        held: whether there is a lock at all: a file system that knows none keeps nobody out.

    Raises:
        ValueError: naming the folder, if another process is writing into it.
    """

    def __init__(self, folder: Path, shared: bool = False) -> None:
        import fcntl  # which not every system has that a clip can be made on

        self.held, self._descriptor = True, os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ValueError(f"{folder}: another process is writing into this folder") from None
        except OSError:
            self.held = False

    def close(self) -> None:
        """Let others write."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            self.close()


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Fill a folder: under a temporary name first, put in its place only when all of it is on the disk.

    Args:
        folder: made if missing. If it is there, files of the same names in it are replaced, and others stay.

    Yields:
        An empty folder to write into. If writing fails, it is removed, and ``folder`` is what it was before.

    Raises:
        OSError: naming the folder, on a full disk or where nothing can be written.
    """
    folder = folder.absolute()
    part = temporary_name(folder)
    try:
        if folder.exists() and not folder.is_dir():
            raise FileExistsError(f"expected a folder to write to, got the file {folder}")
        try:
            part.mkdir(parents=True)
            yield part
            for path in part.rglob("*"):
                _sync(path)
        except OSError as error:
            if error.filename is not None and not Path(error.filename).is_relative_to(part):
                raise  # of something that was read meanwhile
            raise OSError(error.errno, f"cannot write: {error.strerror or error}", str(folder)) from error
        if not folder.exists():
            os.replace(part, folder)
            sync_folder(folder.parent)
            return
        for path in sorted(path for path in part.rglob("*") if not path.is_dir()):
            place = folder / path.relative_to(part)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
    finally:
        shutil.rmtree(part, ignore_errors=True)
