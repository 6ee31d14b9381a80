"""Read the tensors of a TensorFlow checkpoint (format 2) without TensorFlow.

The index is a table of LevelDB's kind: blocks of keys that share prefixes, found through a block of blocks at the end
of the file. Its values are protocol buffers that say where in the data file a tensor lies.
``tensorflow/core/protobuf/tensor_bundle.proto``, https://github.com/tensorflow/tensorflow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOOTER = 48
MAGIC = bytes.fromhex("57fb808b247547db")
TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
DTYPE, SHAPE, OFFSET, SIZE = 1, 2, 4, 5
"""Numbers of the fields of a bundle's entry."""


def read_checkpoint(prefix: str | Path) -> dict[str, np.ndarray]:
    """Read all tensors.

    Args:
        prefix: what the names ``<prefix>.index`` and ``<prefix>.data-00000-of-00001`` begin with.

    Raises:
        OSError: if there is no such file.
        ValueError: if it is no such checkpoint.
    """
    index = Path(f"{prefix}.index").read_bytes()
    data = Path(f"{prefix}.data-00000-of-00001").read_bytes()
    try:
        return {key.decode(): _tensor(data, entry) for key, entry in _entries(index) if key}
    except (IndexError, KeyError, struct.error, ValueError) as error:
        raise ValueError(f"{prefix}.index: expected a TensorFlow checkpoint: {error}") from None


def _entries(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    footer = index[-FOOTER:]
    if footer[-len(MAGIC) :] != MAGIC:
        raise ValueError("its last bytes are not those of a table")
    place = 0
    for _ in range(2):  # the block of metadata, which is empty
        _, place = _number(footer, place)
    offset, place = _number(footer, place)
    size, _ = _number(footer, place)
    for _, handle in _block(index, offset, size):
        offset, place = _number(handle, 0)
        size, _ = _number(handle, place)
        yield from _block(index, offset, size)


def _block(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; each key says how many of its bytes it shares with the one before."""
    if table[offset + size] != 0:
        raise ValueError("its blocks are compressed")
    block = table[offset : offset + size]
    (restarts,) = struct.unpack("<I", block[-4:])
    place, key = 0, b""
    while place < len(block) - 4 * (restarts + 1):
        shared, place = _number(block, place)
        own, place = _number(block, place)
        length, place = _number(block, place)
        key = key[:shared] + block[place : place + own]
        place += own
        yield key, block[place : place + length]
        place += length


def _tensor(data: bytes, entry: bytes) -> np.ndarray:
    fields = dict(_fields(entry))
    axes = [value for number, value in _fields(fields.get(SHAPE, b"")) if number == 2]
    shape = [dict(_fields(axis)).get(1, 0) for axis in axes]
    start = fields.get(OFFSET, 0)
    return np.frombuffer(data[start : start + fields[SIZE]], TYPES[fields[DTYPE]]).reshape(shape)


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a protocol buffer's fields."""
    place = 0
    while place < len(message):
        tag, place = _number(message, place)
        kind = tag & 7
        if kind == 0:
            value, place = _number(message, place)
            yield tag >> 3, value
            continue
        if kind == 2:
            length, place = _number(message, place)
        else:
            length = {1: 8, 5: 4}[kind]
        yield tag >> 3, message[place : place + length]
        place += length


def _number(data: bytes, place: int) -> tuple[int, int]:
    """A variable-length integer, and where it ends."""
    number = shift = 0
    while True:
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, place
