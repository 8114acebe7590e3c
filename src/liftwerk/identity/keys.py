"""Leaf keys in arrays, and where each of them stands."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow
from numpy.typing import NDArray

from liftwerk.identity.components import Flags, Ints

Keys = NDArray[np.bytes_]
"""Leaf keys, ``S16``: they compare byte by byte. An item that is taken out loses its last zeros."""

BYTES = 16


def keys_of(column: pyarrow.Array | pyarrow.ChunkedArray) -> Keys:
    """Return a column of leaf keys as an array.

    Examples
    --------
    >>> in_arrow(keys_of(pyarrow.array([bytes(16), b"k" * 16]))).to_pylist()[1]
    b'kkkkkkkkkkkkkkkk'
    """
    if isinstance(column, pyarrow.ChunkedArray):
        column = column.combine_chunks()
    fixed = column.cast(pyarrow.binary(BYTES))
    if not len(fixed):
        return np.empty(0, f"S{BYTES}")
    held = fixed.buffers()[1]
    return np.frombuffer(held, f"S{BYTES}", len(fixed), fixed.offset * BYTES)


def in_one(keys: Iterable[bytes]) -> Keys:
    """Return keys as an array.

    Examples
    --------
    >>> in_one([b"k" * 16, bytes(16)]).tobytes().hex()
    '6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b00000000000000000000000000000000'
    """
    return np.frombuffer(b"".join(keys), f"S{BYTES}")


def in_pieces(keys: Keys) -> list[bytes]:
    """Return each key by itself, whole."""
    held = keys.tobytes()
    return [held[at : at + BYTES] for at in range(0, len(held), BYTES)]


def in_arrow(keys: Keys) -> pyarrow.Array:
    """Return keys as a column."""
    held = pyarrow.py_buffer(np.ascontiguousarray(keys))
    kind = pyarrow.binary(BYTES)
    fixed = pyarrow.FixedSizeBinaryArray.from_buffers(kind, len(keys), [None, held])
    return fixed.cast(pyarrow.binary())


def in_order(keys: Keys) -> Ints:
    """Return where the smallest stands, the next, and so on."""
    high, low = _halves(keys)
    order = np.argsort(high)
    first, second = high[order], low[order]
    if ((first[1:] == first[:-1]) & (second[1:] != second[:-1])).any():
        return np.lexsort((low, high))
    return order


def distinct(keys: Keys) -> tuple[Keys, Ints]:
    """Return each key once, in order, and where each of those that were given is among them.

    Examples
    --------
    >>> once, place = distinct(keys_of(pyarrow.array([b"k" * 16, b"a" * 16, b"k" * 16])))
    >>> len(once), place.tolist()
    (2, [1, 0, 1])
    """
    order = in_order(keys)
    ordered = keys[order]
    is_first = np.ones(len(keys), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    place = np.empty(len(keys), np.int64)
    place[order] = np.cumsum(is_first) - 1
    return ordered[is_first], place


class Places:
    """Where keys stand in an array, each once in it.

    Examples
    --------
    >>> held = keys_of(pyarrow.array([b"k" * 16, b"a" * 16]))
    >>> Places(held).of(keys_of(pyarrow.array([b"a" * 16, b"b" * 16]))).tolist()
    [1, -1]
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._order = in_order(keys)
        self._high = _halves(keys)[0][self._order]
        self._told_by_half = not (self._high[1:] == self._high[:-1]).any()

    def of(self, asked: Keys) -> Ints:
        """Return the place of each, -1 of those that are not there."""
        if not len(self._keys):
            return np.full(len(asked), -1)
        if self._told_by_half:
            found = np.searchsorted(self._high, _halves(asked)[0])
        else:
            found = np.searchsorted(self._keys[self._order], asked)
        place = self._order[np.minimum(found, len(self._order) - 1)]
        is_there: Flags = self._keys[place] == asked
        return np.where(is_there, place, -1)


def _halves(keys: Keys) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    parts = np.ascontiguousarray(keys).view(">u8").reshape(-1, 2).astype(np.uint64)
    return np.ascontiguousarray(parts[:, 0]), np.ascontiguousarray(parts[:, 1])
