"""Arrays as .npy members and back: without pickle, and quickly for many arrays that are alike."""

from __future__ import annotations

import io
import zlib
from functools import lru_cache

import numpy as np

_PREFIX = 10
"""Bytes of a header of version 1.0 before its text: magic, version, the text's length."""


def save_npy(array: np.ndarray) -> bytes:
    """An array as a .npy file of version 1.0; the same array gives the same bytes."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def load_npy(content: bytes) -> np.ndarray:
    """Decode a .npy file, without a copy where its header was seen before; the array is read-only then.

    Raises:
        ValueError: if it is none, is cut off, or holds Python objects.
    """
    end = _PREFIX + int.from_bytes(content[8:_PREFIX], "little")
    dtype, shape, count = _header(content[:end])
    if dtype is None:
        return np.load(io.BytesIO(content), allow_pickle=False)
    if len(content) != end + count * dtype.itemsize:
        raise ValueError(f"expected {end + count * dtype.itemsize} bytes, got {len(content)}")
    return np.frombuffer(content, dtype, count, end).reshape(shape)


@lru_cache(maxsize=4096)
def header_of(dtype: np.dtype, shape: tuple[int, ...]) -> tuple[int, int]:
    """Length and CRC-32 of the header that `save_npy` writes for such an array."""
    buffer = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, described)
    return buffer.tell(), zlib.crc32(buffer.getvalue())


@lru_cache(maxsize=4096)
def _header(header: bytes) -> tuple[np.dtype | None, tuple[int, ...], int]:
    """Type, shape and number of elements; no type for what is left to numpy: other versions, objects, column order."""
    if header[:8] != b"\x93NUMPY\x01\x00":
        return None, (), 0
    try:
        buffer = io.BytesIO(header)
        np.lib.format.read_magic(buffer)
        shape, column_order, dtype = np.lib.format.read_array_header_1_0(buffer)
    except ValueError:
        return None, (), 0  # numpy says what is wrong
    if column_order or dtype.hasobject:
        return None, (), 0
    return dtype, shape, int(np.prod(shape, dtype=np.int64))
