"""Songs that are kept decoded, so that a crop of one costs no more than reading it.

Decoding FLAC takes long, and training reads a song dozens of times, each time another part of it. What is kept is plain
WAV, one file a song, which anything plays; it may be removed at any time.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Value
from pathlib import Path
from typing import BinaryIO

import soundfile

from musegen.files import temporary_name

HEADER = 44
"""Bytes of a WAV before its samples; the last four of them say how many bytes of samples follow."""

LARGEST = 2**32 - 1024
"""What those four can say, and a little less."""

RESERVE = 1 << 30
"""Bytes that are left free on the disk, so that a run's checkpoints find room."""

BLOCK = 1 << 16
"""Samples that are decoded at a time, so that a song of hours needs no memory of its length."""


class DecodedSongs:
    """A folder of songs of 16 bits as WAV, filled by whoever reads one first; others are decoded each time.

    Any number of processes may read and fill it. A file is named after the checksum of its shard and its number in it,
    so that other content has another name. It is a cache: nothing waits for the disk, and where it cannot be written
    to (a disk that is all but full), this is said once and songs are decoded from there on.

    Args:
        folder: made when there is something to keep.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._given_up = Value("b", False)  # by one worker process, for all of them

    def open(self, shard: str, number: int, flac: Callable[[], bytes]) -> BinaryIO:
        """A song, decoded if it can be kept so.

        Args:
            shard: SHA-256 of the shard that it lies in.
            number: of the song in its shard.
            flac: reads it from there; called only if it is not kept yet.

        Returns:
            A file to be closed: a WAV, or else what ``flac`` gave.
        """
        path = self.folder / shard / f"{number:05d}.wav"
        kept = open_whole(path)
        if kept is not None:
            return kept
        content = flac()
        if not self._given_up.value:
            try:
                keep(content, path)
            except OSError as error:
                self._give_up(error)
        return open_whole(path) or io.BytesIO(content)

    def _give_up(self, error: OSError) -> None:
        with self._given_up.get_lock():
            first, self._given_up.value = not self._given_up.value, True
        if first:
            why = f"songs cannot be kept in {self.folder}: {error.strerror or error}"
            warnings.warn(f"decoded: {why}; they are decoded each time", stacklevel=2)


def open_whole(path: Path) -> BinaryIO | None:
    """Open a WAV that is as long as it says; None if it is not there, or was cut off by a crash of the machine."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - whoever asked for it closes it
    except OSError:
        return None
    with suppress(OSError):
        header = os.pread(file.fileno(), HEADER, 0)
        if header[:4] == b"RIFF" and int.from_bytes(header[-4:], "little") == os.stat(path).st_size - HEADER:
            return file
    file.close()
    return None


def keep(flac: bytes, path: Path) -> None:
    """Decode a song into a file that is there whole or not at all; a song that is not of 16 bits, or damaged, is left.

    Args:
        flac: the song.
        path: of the WAV; folders that are missing are made.

    Raises:
        OSError: if it cannot be written; nothing of it is left then.
    """
    part = temporary_name(path)
    try:
        with soundfile.SoundFile(io.BytesIO(flac)) as song:
            size = song.frames * song.channels * 2
            if song.subtype != "PCM_16" or size > LARGEST:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < size + RESERVE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            _decode(song, part)
            os.replace(part, path)
    except soundfile.LibsndfileError:  # whoever reads the part that is wanted finds out, or has luck
        return
    finally:
        with suppress(OSError):
            part.unlink()


def _decode(song: soundfile.SoundFile, path: Path) -> None:
    with open(path, "wb") as file:
        file.write(_header(song.samplerate, song.channels, song.frames))
        for block in song.blocks(BLOCK, dtype="int16", always_2d=True):
            file.write(block.astype("<i2", copy=False).tobytes())


def _header(rate: int, channels: int, length: int) -> bytes:
    frame = 2 * channels
    kind = struct.pack("<HHIIHH", 1, channels, rate, rate * frame, frame, 16)
    size = length * frame
    return struct.pack("<4sI8sI16s4sI", b"RIFF", HEADER - 8 + size, b"WAVEfmt ", len(kind), kind, b"data", size)
