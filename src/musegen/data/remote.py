"""Shards that lie elsewhere: behind a URL, or behind a command that prints them.

Each shard is fetched once, whole, under a temporary name, compared with the checksum in the index, and then read from
disk like any other. So an epoch stays one permutation of all samples, whatever lies where.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit

from musegen.data.shard_reader import DamagedShardError
from musegen.files import temporary_name, write_whole

T = TypeVar("T")

ATTEMPTS = 3
PAUSE = 1.0
"""Seconds before the second attempt to fetch something; each further pause is four times as long."""
COMPLAINT = 2000
"""Bytes of what a command said in the end that an error repeats."""

_URL = re.compile(r"pipe:|[a-z][a-z0-9+.-]+://")


def is_url(name: str | Path) -> bool:
    """Whether a folder's name says that it lies elsewhere; ``file:///…`` is a folder here."""
    return isinstance(name, str) and _URL.match(name) is not None and not name.startswith("file://")


def local(name: str | Path) -> Path:
    """The folder that a name or a ``file:///…`` means."""
    if isinstance(name, str) and name.startswith("file://"):
        return Path(unquote(urlsplit(name).path))
    return Path(name)


class RemoteShards:
    """A folder of shards elsewhere, and the place on disk where what was fetched of it stays.

    Args:
        url: of the folder, ``https://…``, ``s3://…`` or any other that fsspec knows; or ``pipe:`` and a shell command
            in which ``{}`` stands for a file's name, such as ``pipe:ssh host cat /shards/{}``. A command is run as it
            is: it must come from the user's own command line or configuration.
        cache: where fetched shards are kept; None for ``musegen/shards`` among the user's caches.

    Raises:
        ValueError: for a command without ``{}``.
        OSError: if there is no index, or it cannot be fetched.
    """

    def __init__(self, url: str, cache: str | Path | None = None) -> None:
        if url.startswith("pipe:") and "{}" not in url:
            raise ValueError(f"expected {{}} for the file's name in {url!r}, such as 'pipe:cat folder/{{}}'")
        self.url = url
        indexes = dict(self._indexes())
        name = hashlib.sha256(repr((url, sorted(indexes.items()))).encode()).hexdigest()[:16]
        self.folder = Path(cache or _user_cache()) / name
        write_whole({self.folder / name: content for name, content in indexes.items()})

    def fetch(self, name: str, sha256: str | None = None) -> Path:
        """Bring a file here, if it is not here yet; several processes may ask at once.

        Args:
            name: of the file, without any folder.
            sha256: that it must have.

        Raises:
            DamagedShardError: if it cannot be had, or is not what the index says.
        """
        path = self.folder / name
        if path.exists():
            return path
        with _alone(path):
            if not path.exists():
                part = temporary_name(path)
                try:
                    self._fetch(name, part, sha256)
                    os.replace(part, path)
                except OSError as error:
                    raise DamagedShardError(f"{self._place(name)}: cannot be fetched: {_reason(error)}") from None
                finally:
                    with suppress(OSError):
                        part.unlink()
        return path

    def _indexes(self) -> Iterator[tuple[str, bytes]]:
        """The index, or the parts of it that several processes wrote; folders elsewhere need not be able to list.

        The first part that is not there is the end; one that cannot be reached is not.
        """
        try:
            yield "index.json", self._read("index.json")
            return
        except OSError as error:
            failed = error
        for rank in range(1 << 16):
            name = f"index-rank{rank:04d}.json"
            try:
                known = rank == 0 or self.url.startswith(
                    "pipe:"
                )  # whether an error tells at once that this was the end
                content = self._read(name) if known else _patiently(lambda: self._read(name))  # noqa: B023
            except OSError as error:
                if rank == 0:
                    place = self._place("index.json")
                    raise OSError(f"{place}: expected the index of shards: {_reason(failed)}") from None
                if not (_is_absent(error) or isinstance(error, ChildProcessError)):
                    raise OSError(f"{self._place(name)}: cannot be fetched: {_reason(error)}") from None
                return
            yield name, content

    def _read(self, name: str) -> bytes:
        with self._open(name) as stream:
            return stream.read()

    def _fetch(self, name: str, path: Path, sha256: str | None) -> None:
        def once() -> None:
            with self._open(name) as stream, open(path, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
                if getattr(stream, "length", 0):  # of an answer by HTTP: what is still to come
                    raise OSError("it was cut off")
                file.flush()
                os.fsync(file.fileno())
            _compare(path, sha256)

        _patiently(once)

    def _place(self, name: str) -> str:
        return self.url.replace("{}", name) if self.url.startswith("pipe:") else f"{self.url.rstrip('/')}/{quote(name)}"

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        place = self._place(name)
        if place.startswith("pipe:"):
            with tempfile.TemporaryFile() as said:  # a pipe would be full one day, and the command wait for its reader
                with subprocess.Popen(place[5:], shell=True, stdout=subprocess.PIPE, stderr=said) as running:
                    assert running.stdout is not None
                    yield running.stdout
                if status := running.returncode:
                    said.seek(max(0, said.seek(0, os.SEEK_END) - COMPLAINT))
                    complaint = " ".join(said.read().decode(errors="replace").split()) or "no word of why"
                    kind = ChildProcessError if 0 < status < 128 else ConnectionError  # killed, or ssh reached nobody
                    raise kind(f"exit status {status}: {complaint}")
        elif place.startswith(("http://", "https://")):
            try:
                with urllib.request.urlopen(place, timeout=60) as answer:
                    yield answer
            except HTTPException as error:
                raise OSError(f"{type(error).__name__}: {error}") from None
        else:
            with _fsspec(place) as file:
                yield file


def _patiently(attempt: Callable[[], T]) -> T:
    """What an attempt gives; another attempt, after a pause, where a file may be there but was not to be had."""
    for count in range(ATTEMPTS - 1):
        try:
            return attempt()
        except OSError as error:
            if _is_absent(error):
                raise
            time.sleep(PAUSE * 4**count)
    return attempt()


def _is_absent(error: OSError) -> bool:
    """Whether there is no such file, as far as one can be told.

    S3 answers 403 where listing is not allowed.
    """
    if isinstance(error, HTTPError):
        return error.code in (403, 404, 410)
    return isinstance(error, FileNotFoundError | PermissionError)


def _compare(path: Path, sha256: str | None) -> None:
    if sha256 is not None:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise OSError(f"expected SHA-256 {sha256[:12]}… as its index says, got {found[:12]}…")


def _fsspec(place: str) -> IO[bytes]:
    import fsspec

    try:
        return fsspec.open(place, "rb").open()  # type: ignore[return-value]
    except ImportError as error:
        raise OSError(str(error)) from None
    except ValueError as error:
        raise OSError(f"expected a URL that fsspec knows: {error}") from None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes of this machine from fetching the same file meanwhile."""
    with open(path.with_name(f".{path.name}.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "musegen" / "shards"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
