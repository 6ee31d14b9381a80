"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def write_whole(contents: Mapping[Path, bytes]) -> None:
    """Write files that belong together: under temporary names first, renamed only when all of them are on the disk.

    Args:
        contents: what each file is to hold. Folders that are missing are made; files that exist are replaced.

    Raises:
        OSError: naming the file, on a full disk or an unwritable folder. What was there before is still there then.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in contents}
    try:
        for path, content in contents.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(temporary[path], "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise OSError(error.errno, f"cannot write: {error.strerror}", str(path)) from error
        for path in contents:
            os.replace(temporary[path], path)
    finally:
        for name in temporary.values():
            with suppress(OSError):
                name.unlink()
